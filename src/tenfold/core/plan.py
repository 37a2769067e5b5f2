"""The plan: what would run, be skipped or be blocked, and why. A pure value; nothing is touched.

Keys of assets behind a step that will run are not known yet: those are `maybe`, skipped after all when
the bytes upstream come out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenfold.core.facts import StepResult
from tenfold.core.graph import Graph, Node
from tenfold.core.keys import canonical_json, step_key
from tenfold.errors import UnknownName

ACTIONS = ("skip", "run", "maybe", "blocked")


class Known(Protocol):
    """What planning may ask about the past."""

    def result(self, key: str) -> StepResult | None: ...

    def last(self, asset: str) -> StepResult | None:
        """The newest result under this asset's name, whatever its key."""
        ...

    def intact(self, result: StepResult) -> bool:
        """All its bytes are in the store."""
        ...

    def observed(self, node: Node) -> Any:
        """What a source step sees of the world outside."""
        ...

    def red(self, node: Node, result: StepResult) -> str | None:
        """Why a check that blocks the run is red for this result, if one is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One asset's fate."""

    asset: str
    step: str
    needs: tuple[str, ...]
    action: str
    reason: str
    key: str | None = None
    digest: str | None = None
    """Of the output, when it is known."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The fates of the selected assets in the order they would be met."""

    factory: str
    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...] = field(default_factory=tuple)

    def __getitem__(self, asset: str) -> PlannedStep:
        for step in self.steps:
            if step.asset == asset:
                return step
        raise UnknownName("asset", asset, [step.asset for step in self.steps])

    @property
    def counts(self) -> dict[str, int]:
        return {action: sum(s.action == action for s in self.steps) for action in ACTIONS}

    @property
    def is_unchanged(self) -> bool:
        return all(step.action == "skip" for step in self.steps)

    def explain(self) -> str:
        width = max((len(step.asset) for step in self.steps), default=0)
        lines = [f"{s.asset:<{width}}  {s.action:<7}  {s.reason}" for s in self.steps]
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])

    def to_dict(self) -> dict[str, Any]:
        return {
            "factory": self.factory,
            "counts": self.counts,
            "steps": [
                {name: getattr(step, name) for name in PlannedStep.__slots__} for step in self.steps
            ],
            "warnings": list(self.warnings),
        }

    def _repr_html_(self) -> str:
        from html import escape  # notebooks only

        mark = {"skip": "·", "run": "▶", "maybe": "◇", "blocked": "■"}
        rows = "".join(
            f"<tr><td>{mark[s.action]} {s.action}</td><td><b>{escape(s.asset)}</b></td>"
            f"<td><code>{escape(s.step)}</code></td><td>{escape(s.reason)}</td></tr>"
            for s in self.steps
        )
        return (
            f"<table><tr><th>action</th><th>asset</th><th>step</th><th>why</th></tr>{rows}</table>"
        )


def node_key(
    node: Node, inputs: Sequence[tuple[str, str]], observed: Any, environment: Any = None
) -> str:
    """The key of a node whose inputs are known as (asset, digest) pairs.

    Asset names are not part of it: renaming an asset repeats no work.
    """
    named = [*node.step.inputs, *[""] * len(inputs)]
    return step_key(
        node.step.name,
        node.step.version,
        node.identity,
        [(named[index], digest) for index, (_, digest) in enumerate(inputs)],
        observed=observed,
        environment=environment,
    )


def make_plan(
    factory: str,
    graph: Graph,
    known: Known,
    targets: Sequence[str] = (),
    *,
    force: Sequence[str] = (),
    environment: Any = None,
    source_of: Callable[[Node], str] | None = None,
) -> Plan:
    """Decide each asset's fate. `force` names assets that run even when unchanged.

    Raises UnknownName for a target or a forced asset that is not there.
    """
    for name in force:
        graph[name]
    steps: list[PlannedStep] = []
    fates: dict[str, PlannedStep] = {}
    blocking: dict[str, str] = {}
    warnings: list[str] = []
    stale_sources: dict[str, list[str]] = {}
    forced = frozenset(force)
    for name in graph.select(targets):
        node = graph.nodes[name]
        fate = _fate(node, fates, blocking, known, name in forced, environment)
        if fate.action == "skip" and fate.key is not None:
            result = known.result(fate.key)
            if result is not None:
                reason = known.red(node, result) if node.checks else None
                if reason is not None:
                    blocking[name] = f"{name} has a red check: {reason}"
                if source_of is not None and result.source_sha256 not in ("", source_of(node)):
                    stale_sources.setdefault(node.step.name, []).append(name)
        fates[name] = fate
        steps.append(fate)
    for step, assets in stale_sources.items():
        warnings.append(
            f"the code of {step} changed but its version did not; {', '.join(assets[:3])}"
            + (f" and {len(assets) - 3} more" if len(assets) > 3 else "")
            + " may be out of date: raise version="
        )
    return Plan(factory=factory, steps=tuple(steps), warnings=tuple(warnings))


def _fate(
    node: Node,
    fates: Mapping[str, PlannedStep],
    blocking: Mapping[str, str],
    known: Known,
    forced: bool,
    environment: Any,
) -> PlannedStep:
    def fate(action: str, reason: str, key: str | None = None, digest: str | None = None) -> Any:
        return PlannedStep(
            asset=node.name,
            step=node.step.name,
            needs=node.needs,
            action=action,
            reason=reason,
            key=key,
            digest=digest,
        )

    upstream = [fates[need] for need in node.needs]
    for need in upstream:
        if need.asset in blocking:
            return fate("blocked", blocking[need.asset])
        if need.action == "blocked":
            return fate("blocked", f"{need.asset} is blocked")
    waiting = [need.asset for need in upstream if need.digest is None]
    if waiting:
        return fate("maybe", f"after {', '.join(waiting)}: skipped if that comes out the same")
    inputs = [(need.asset, str(need.digest)) for need in upstream]
    observed = known.observed(node)
    key = node_key(node, inputs, observed, environment)
    result = known.result(key)
    if result is None:
        return fate("run", explain_change(node, inputs, observed, known.last(node.name)), key)
    if forced:
        return fate("run", "asked for", key)
    if not known.intact(result):
        return fate("run", "some of its bytes are missing from the store", key)
    return fate("skip", "unchanged", key, result.output.digest)


def explain_change(
    node: Node, inputs: Sequence[tuple[str, str]], observed: Any, last: StepResult | None
) -> str:
    """Why a node has no result: what differs from the newest result under its name."""
    if last is None:
        return "never built"
    changes = []
    if last.step != node.step.name:
        return f"step {last.step} -> {node.step.name}"
    if last.version != node.step.version:
        changes.append(f"version {last.version} -> {node.step.version}")
    identity = node.identity
    for setting in sorted({*last.config, *identity}):
        old, new = last.config.get(setting, _ABSENT), identity.get(setting, _ABSENT)
        if old != new:
            name = "seed" if setting == "(seed)" else f"config.{setting}"
            changes.append(f"{name} {_short(old)} -> {_short(new)}")
    old_inputs = dict(last.inputs)
    for name, digest in inputs:
        if name not in old_inputs:
            changes.append(f"new input {name}")
        elif old_inputs[name] != digest:
            changes.append(f"input {name} changed")
    if len(last.inputs) > len(inputs):
        changes.append("an input was taken away")
    elif not changes and [d for _, d in last.inputs] != [d for _, d in inputs]:
        changes.append("its inputs come in another order")
    if canonical_json(last.observed) != canonical_json(observed):
        changes.append("its source changed")
    return ", ".join(changes) or "the environment or the kernel changed"


_ABSENT = object()


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "unset"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
