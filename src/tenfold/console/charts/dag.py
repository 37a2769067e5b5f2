"""A layered drawing of a directed acyclic graph, sources on the left.

Layers come from the caller; edges that cross several layers get a waypoint in each, and the order within
a layer is improved by sweeps of the barycentre heuristic (Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title

NODE_WIDTH, NODE_HEIGHT = 146, 50
GAP_X, GAP_Y, WAYPOINT_HEIGHT, MARGIN = 46, 16, 10, 6
_SWEEPS = 12
WIDE = 700
"""Pixels from which a drawing rather scrolls than shrinks further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagNode:
    id: str
    name: str
    note: str
    """Second line."""
    level: int
    state: str
    """Also the CSS class, `st-<state>`; the word is shown with it."""
    href: str | None = None
    selected: bool = False
    hint: str = ""
    icon: str = ""
    """One character that tells the state without colour."""


def dag(nodes: Sequence[DagNode], edges: Sequence[tuple[str, str]], *, label: str) -> Markup:
    """Edges are (from, to) pairs of ids; those to nodes that are not there are left out."""
    if not nodes:
        return Markup("")
    levels = {node.id: node.level for node in nodes}
    known = [(a, b) for a, b in edges if a in levels and b in levels and levels[a] < levels[b]]
    layers, chains = _with_waypoints(nodes, known)
    _untangle(layers, chains)
    places = _places(layers, levels)
    width = max(x for x, _ in places.values()) + NODE_WIDTH + MARGIN
    height = max(y + _height(name, levels) / 2 for name, (_, y) in places.items()) + MARGIN
    marks = [
        element("path", d=_curve([places[p] for p in chain]), cls="edge",
                data_from=chain[0], data_to=chain[-1])
        for chain in chains
    ]  # fmt: skip
    marks += [_box(node, *places[node.id]) for node in nodes]
    return svg(
        width,
        height,
        label,
        *marks,
        cls="dag wide" if width > WIDE else "dag",
        role="group",
        natural=True,
    )


def _with_waypoints(
    nodes: Sequence[DagNode], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[str]], list[list[str]]]:
    layers: list[list[str]] = [[] for _ in range(max(node.level for node in nodes) + 1)]
    levels = {node.id: node.level for node in nodes}
    for node in nodes:
        layers[node.level].append(node.id)
    chains = []
    for start, end in edges:
        chain = [start]
        for level in range(levels[start] + 1, levels[end]):
            waypoint = f"\0{start}\0{level}"  # edges from one node share their way
            if waypoint not in layers[level]:
                layers[level].append(waypoint)
            chain.append(waypoint)
        chains.append([*chain, end])
    return layers, chains


def _untangle(layers: list[list[str]], chains: Sequence[Sequence[str]]) -> None:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for a, b in {(a, b): None for c in chains for a, b in pairwise(c)}:
        before.setdefault(b, []).append(a)
        after.setdefault(a, []).append(b)
    best = [list(layer) for layer in layers]
    fewest = _crossings(layers, after)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        order = range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1)
        neighbours = before if forward else after
        for level in order:
            place = {n: i for i, n in enumerate(layers[level - 1 if forward else level + 1])}
            here = {n: i for i, n in enumerate(layers[level])}

            centre = _barycentre(neighbours, place, here)
            layers[level].sort(key=centre)
        crossings = _crossings(layers, after)
        if crossings < fewest:
            fewest, best = crossings, [list(layer) for layer in layers]
    layers[:] = best


def _barycentre(
    neighbours: Mapping[str, Sequence[str]], place: Mapping[str, int], here: Mapping[str, int]
) -> Callable[[str], float]:
    """The mean place of a name's neighbours; where it has none it stays."""

    def centre(name: str) -> float:
        found = [place[n] for n in neighbours.get(name, ()) if n in place]
        return sum(found) / len(found) if found else here[name]

    return centre


def _crossings(layers: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    total = 0
    for layer, following in pairwise(layers):
        place = {name: index for index, name in enumerate(following)}
        ends = [sorted(place[n] for n in after.get(name, ()) if n in place) for name in layer]
        flat = [end for group in ends for end in group]
        total += sum(flat[j] < flat[i] for i in range(len(flat)) for j in range(i + 1, len(flat)))
    return total


def _places(
    layers: Sequence[Sequence[str]], levels: Mapping[str, int]
) -> dict[str, tuple[float, float]]:
    """Left edge and vertical centre of everything; layers are centred on a common axis."""
    heights = [
        sum(_height(name, levels) for name in layer) + GAP_Y * (len(layer) - 1) for layer in layers
    ]
    middle = max(heights) / 2 + MARGIN
    places = {}
    for level, (layer, tall) in enumerate(zip(layers, heights, strict=True)):
        y = middle - tall / 2
        for name in layer:
            high = _height(name, levels)
            places[name] = (float(MARGIN + level * (NODE_WIDTH + GAP_X)), y + high / 2)
            y += high + GAP_Y
    return places


def _height(name: str, levels: Mapping[str, int]) -> int:
    return NODE_HEIGHT if name in levels else WAYPOINT_HEIGHT


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """From the right side of the first to the left side of the last, straight through waypoints."""
    x, y = points[0][0] + NODE_WIDTH, points[0][1]
    text = f"M{x:.1f} {y:.1f}"
    for index, (left, centre) in enumerate(points[1:], 1):
        bend = (left - x) / 2
        text += f"C{x + bend:.1f} {y:.1f} {left - bend:.1f} {centre:.1f} {left:.1f} {centre:.1f}"
        x, y = left, centre
        if index < len(points) - 1:
            x += NODE_WIDTH
            text += f"H{x:.1f}"
    return text


def _box(node: DagNode, x: float, centre: float) -> Markup:
    y = centre - NODE_HEIGHT / 2
    inner = element(
        "g",
        title(node.hint or f"{node.name}: {node.state}"),
        element("rect", cls="box", x=x, y=y, width=NODE_WIDTH, height=NODE_HEIGHT, rx=7),
        element("rect", cls="band", x=x, y=y + 9, width=3, height=NODE_HEIGHT - 18, rx=1.5),
        element("text", _cut(node.name, 15), cls="name", x=x + 14, y=y + 21),
        element("text", _cut(node.note, 19), cls="kind", x=x + 14, y=y + 38),
        element("text", node.icon, cls="icon", x=x + NODE_WIDTH - 12, y=y + 21, text_anchor="end"),
        cls=f"node st-{node.state}{' selected' if node.selected else ''}",
        data_id=node.id,
    )
    return (
        element("a", inner, href=node.href, aria_label=f"{node.name}, {node.state}")
        if node.href
        else inner
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
