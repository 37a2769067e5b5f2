"""The factory graph as a reader sees it: assets, their states, and why one is stale.

With a plan (what `factory.plan()` returns) states are exact. Without one they are derived from the
ledger alone: an asset is stale when an input it was built from is no longer the newest of its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenfold.core.facts import Run, RunStep, StepResult, Verdict
from tenfold.core.plan import Plan
from tenfold.queries.levels import levels_of
from tenfold.queries.past import Past, newest_by_asset

STATES = ("running", "failed", "blocked", "red", "stale", "missing", "fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAsset:
    """One asset of the factory and how it stands."""

    name: str
    step: str
    kind: str
    needs: tuple[str, ...]
    level: int
    """Longest way from a source: 0 for a source, so that a drawing can put it in a column."""
    state: str
    """One of STATES."""
    reason: str
    digest: str | None
    num_bytes: int
    finished_at_s: float | None
    wall_s: float
    done: float
    """Progress in [0, 1] while it runs, else 0."""
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryGraph:
    factory: str
    assets: tuple[GraphAsset, ...]
    """In an order in which each comes after what it needs."""
    edges: tuple[tuple[str, str], ...]
    """(needed asset, asset) pairs."""
    run_id: str | None
    """The run that states are taken from, if there was one."""

    @property
    def counts(self) -> dict[str, int]:
        return {state: sum(a.state == state for a in self.assets) for state in STATES}


def factory_graph(past: Past, plan: Plan | None, factory: str | None = None) -> FactoryGraph:
    """The newest factory in the ledger (or the plan's own), every asset with its state."""
    runs = past.runs()
    name = factory or (plan.factory if plan else None) or (runs[0].factory if runs else "")
    runs = [run for run in runs if run.factory == name]
    steps = _newest_steps(past, runs[:20])
    newest = newest_by_asset([r for r in past.results() if r.factory == name])
    planned = {step.asset: step for step in plan.steps} if plan else {}

    needs: dict[str, tuple[str, ...]] = {}
    if plan:
        needs = {fate.asset: fate.needs for fate in plan.steps}
    else:
        needs = {step.asset: step.needs for _, step in steps.values()}
    if not needs:
        needs = {r.asset: tuple(n for n, _ in r.inputs) for r in newest.values()}
    levels = levels_of(needs)
    verdicts = past.verdicts(r.key for r in newest.values())
    live = runs[0] if runs and runs[0].status == "running" else None

    assets = []
    for asset in sorted(needs, key=levels.__getitem__):
        run, step = steps.get(asset, (None, None))
        fate = planned.get(asset)
        result = past.result(fate.key) if fate else None
        result = result or newest.get(asset)
        found = tuple(verdicts.get(result.key, ())) if result else ()
        state, reason = _state(asset, run, step, result, found, newest, live)
        if fate and state in ("fresh", "red", "stale", "missing"):
            if fate.action == "blocked":
                state, reason = "blocked", fate.reason
            elif fate.action != "skip":
                state, reason = ("stale" if result else "missing"), fate.reason
            elif state != "red":
                state, reason = "fresh", fate.reason
        assets.append(
            GraphAsset(
                name=asset,
                step=(fate.step if fate else step.step if step else result.step if result else ""),
                kind=result.output.kind if result else "asset",
                needs=needs[asset],
                level=levels[asset],
                state=state,
                reason=reason,
                digest=result.output.digest if result else None,
                num_bytes=result.output.num_bytes if result else 0,
                finished_at_s=result.finished_at_s if result else None,
                wall_s=result.usage.wall_s if result else 0.0,
                done=step.done if step and state == "running" else 0.0,
                verdicts=found,
            )
        )
    edges = tuple((need, a.name) for a in assets for need in dict.fromkeys(a.needs))
    return FactoryGraph(
        factory=name, assets=tuple(assets), edges=edges, run_id=runs[0].id if runs else None
    )


def _newest_steps(past: Past, runs: Sequence[Run]) -> dict[str, tuple[Run, RunStep]]:
    """For each asset the newest run that met it; the assets are those of the newest whole run."""
    found: dict[str, tuple[Run, RunStep]] = {}
    for run in runs:
        for step in past.steps(run.id):
            found.setdefault(step.asset, (run, step))
        if found and not run.targets:
            break  # a run without targets met every asset: older ones only know what was removed
    return found


def _state(
    asset: str,
    run: Run | None,
    step: RunStep | None,
    result: StepResult | None,
    verdicts: Sequence[Verdict],
    newest: Mapping[str, StepResult],
    live: Run | None,
) -> tuple[str, str]:
    if step and run and live and run.id == live.id and step.status == "running":
        return "running", f"running in {run.id}"
    if step and run and step.status == "running" and run.status != "running":
        return "failed", f"{run.id} was {run.status} while this ran"
    if step and step.status == "failed":
        return "failed", step.error or step.reason or "its step failed"
    if step and step.status == "blocked":
        return "blocked", step.reason or "something it needs is not there"
    if result is None:
        return "missing", "never built"
    changed = [
        name
        for name, digest in result.inputs
        if name in newest and newest[name].output.digest != digest
    ]
    if changed:
        return "stale", ", ".join(f"input {name} changed" for name in changed)
    red = [v for v in verdicts if v.state == "red"]
    if red:
        return "red", "; ".join(f"{v.rule}: {v.reason}" for v in red)
    return "fresh", "unchanged"
