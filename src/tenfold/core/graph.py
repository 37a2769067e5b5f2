"""The factory as a graph of assets: order, selection, and faults found before anything runs.

A node is an asset to be made: its step, the assets it needs, its settings and its checks. Files, ledgers
and engines are not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tenfold.core.checks import Check
from tenfold.core.step import Resources, Step, accepts
from tenfold.errors import GraphError, UnknownName, suggestion


@dataclass(frozen=True, kw_only=True)
class Node:
    """One asset of a factory."""

    name: str
    step: Step
    needs: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    """Canonical: completed with defaults by `Step.configure`."""
    checks: tuple[Check, ...] = ()
    resources: Resources = field(default_factory=Resources)
    retries: int = 0
    seed: int | None = None
    where: str | None = None
    """The place in the factory file, for messages."""

    @cached_property
    def identity(self) -> Any:
        """What of the node goes into its key besides inputs: settings, and the seed when one is set.

        The seed has a name no setting can have: a step may well have a setting called `seed`.
        """
        return dict(self.config) if self.seed is None else {**self.config, "(seed)": self.seed}


class Graph:
    """Nodes in an order in which each comes after what it needs; declaration order breaks ties."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        """Raises GraphError with every fault found: unknown needs, cycles, inputs of the wrong kind."""
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self.nodes:
                raise GraphError(f"the asset {node.name!r} is defined twice", where=node.where)
            self.nodes[node.name] = node
        faults = list(graph_faults({n.name: n.needs for n in self.nodes.values()}))
        if not faults:
            for node in self.nodes.values():
                faults += kind_faults(node, [self.nodes[need].step for need in node.needs])
        if faults:
            places = {name: node.where for name, node in self.nodes.items()}
            raise GraphError(
                "\n".join(f"{places[name] or name}: {fault}" for name, fault in faults)
            )
        self.order: tuple[str, ...] = topological({n: node.needs for n, node in self.nodes.items()})

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, name: str) -> Node:
        try:
            return self.nodes[name]
        except KeyError:
            raise UnknownName("asset", name, self.nodes) from None

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        users: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name in self.order:
            for need in self.nodes[name].needs:
                users[need].append(name)
        return {name: tuple(dict.fromkeys(found)) for name, found in users.items()}

    def select(self, targets: Sequence[str] = ()) -> tuple[str, ...]:
        """The targets and everything they need, in order; without targets, everything."""
        if not targets:
            return self.order
        wanted: set[str] = set()
        stack = [self[target].name for target in targets]
        while stack:
            name = stack.pop()
            if name not in wanted:
                wanted.add(name)
                stack.extend(self.nodes[name].needs)
        return tuple(name for name in self.order if name in wanted)

    def downstream(self, name: str) -> set[str]:
        """Everything that is built from an asset, directly or not."""
        found: set[str] = set()
        stack = list(self.consumers[name])
        while stack:
            user = stack.pop()
            if user not in found:
                found.add(user)
                stack.extend(self.consumers[user])
        return found


def topological(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Kahn's algorithm, stable in declaration order. The graph must have no cycle."""
    missing = {name: len(set(wanted)) for name, wanted in needs.items()}
    users: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in needs.items():
        for need in dict.fromkeys(wanted):
            users[need].append(name)
    ready = [name for name, count in missing.items() if count == 0]
    order: list[str] = []
    for name in ready:  # `ready` grows while it is walked
        order.append(name)
        for user in users[name]:
            missing[user] -= 1
            if missing[user] == 0:
                ready.append(user)
    return tuple(order)


def graph_faults(needs: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, str]]:
    """(asset, fault) for every unknown need and for each cycle, with the way around it."""
    known = True
    for name, wanted in needs.items():
        for need in wanted:
            if need not in needs:
                known = False
                hint = suggestion(need, [other for other in needs if other != name])
                yield name, f"needs an unknown asset {need!r}" + (f", {hint}" if hint else "")
    if known:
        cycle = find_cycle(needs)
        if cycle:
            yield cycle[0], "is part of a cycle: " + " -> ".join([*cycle, cycle[0]])


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Some cycle as a list of names, or an empty list. Iterative: chains may be thousands long."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(name)
                done.add(name)
                continue
            if name in on_path:
                return path[path.index(name) :]
            if name in done:
                continue
            path.append(name)
            on_path.add(name)
            stack.append((name, True))
            stack.extend((need, False) for need in needs[name])
    return []


def kind_faults(node: Node, inputs: Sequence[Step]) -> list[tuple[str, str]]:
    """Too many or too few inputs, or one of the wrong kind."""
    wanted = node.step.inputs
    if node.step.variadic is None and len(inputs) != len(wanted):
        names = ", ".join(f"{name} ({kind})" for name, kind in wanted.items()) or "nothing"
        return [
            (
                node.name,
                f"{node.step.name} takes {len(wanted)} inputs ({names}), {len(inputs)} given",
            )
        ]
    if len(inputs) < len(wanted):
        return [(node.name, f"{node.step.name} needs at least {len(wanted)} inputs")]
    faults = []
    for (parameter, kind), need, source in zip(wanted.items(), node.needs, inputs, strict=False):
        if not accepts(kind, source.output):
            faults.append(
                (node.name, f"{parameter} must be a {kind}, but {need!r} is a {source.output}")
            )
    return faults
