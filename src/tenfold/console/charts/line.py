"""A line chart: one or more series over a common axis, with grid, units, legend and values on hover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tenfold.console.charts.element import element, path_through, svg
from tenfold.console.charts.scale import Scale, ticks
from tenfold.console.figures import digits

MAX_POINTS = 320
"""Drawn per line; more cannot be told apart on a screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    cls: str = "s1"
    """Which of the style sheet's series colours."""
    smooth: float = 0.0
    """Weight of the past in an exponential average in [0, 1); above 0 the raw line is drawn faintly."""


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    x_unit: str,
    y_unit: str,
    width: int = 560,
    height: int = 240,
) -> Markup:
    """`label` says what is shown; axes carry their units."""
    kept = [_finite(line) for line in lines]
    kept = [line for line in kept if line.xs]
    if not kept:
        return Markup("")
    left, right, top, bottom = 46, 14, 26, 34
    y_ticks = ticks(min(min(x.ys) for x in kept), max(max(x.ys) for x in kept), 4)
    x_low, x_high = min(x.xs[0] for x in kept), max(x.xs[-1] for x in kept)
    x = Scale(x_low, x_high if x_high > x_low else x_low + 1, left, width - right)
    y = Scale(y_ticks[0], y_ticks[-1], height - bottom, top)
    marks = [
        element("line", cls="grid", x1=left, x2=width - right, y1=y(t), y2=y(t)) for t in y_ticks
    ]
    marks += [
        element("text", digits(t), cls="tick", x=left - 8, y=y(t) + 4, text_anchor="end")
        for t in y_ticks
    ]
    for tick in ticks(x_low, x_high, 5):
        if x_low <= tick <= x_high:
            marks.append(
                element("text", digits(tick, 6), cls="tick", x=x(tick), y=height - bottom + 17,
                        text_anchor="middle")
            )  # fmt: skip
    marks.append(element("text", y_unit, cls="axis", x=left - 38, y=13))
    marks.append(
        element("text", x_unit, cls="axis", x=width - right, y=height - 2, text_anchor="end")
    )
    for line in kept:
        marks += _drawn(line, x, y)
    return svg(
        width, height, label, *marks, cls="line-chart wide" if width > 700 else "line-chart", hover=_hover(kept, x, top, height - bottom, x_unit)
    )  # fmt: skip


def _drawn(line: Line, x: Scale, y: Scale) -> list[Markup]:
    def path(ys: Sequence[float], cls: str) -> Markup:
        points = thinned(line.xs, ys, MAX_POINTS)
        return element("path", d=path_through([(x(a), y(b)) for a, b in points]), cls=cls)

    if not line.smooth:
        return [path(line.ys, f"line {line.cls}")]
    return [
        path(line.ys, f"line raw {line.cls}"),
        path(smoothed(line.ys, line.smooth), f"line {line.cls}"),
    ]


def _hover(lines: Sequence[Line], x: Scale, top: float, bottom: float, x_unit: str) -> dict:
    longest = max(lines, key=lambda line: len(line.xs))
    stride = max(1, math.ceil(len(longest.xs) / MAX_POINTS))
    at = list(longest.xs[::stride])
    values = []
    for line in lines:
        known = dict(zip(line.xs, line.ys, strict=True))
        values.append([digits(known[v], 4) if v in known else "" for v in at])
    return {
        "x": [round(x(v), 1) for v in at],
        "label": [f"{x_unit} {digits(v, 6)}" for v in at],
        "plot": [top, bottom],
        "series": [
            {"name": line.name, "cls": line.cls, "values": found}
            for line, found in zip(lines, values, strict=True)
        ],
    }


def smoothed(ys: Sequence[float], weight: float) -> list[float]:
    """Exponential average, corrected for its start as in Adam (Kingma and Ba 2015, section 3)."""
    average, out = 0.0, []
    for index, value in enumerate(ys, 1):
        average = weight * average + (1 - weight) * value
        out.append(average / (1 - weight**index))
    return out


def thinned(xs: Sequence[float], ys: Sequence[float], limit: int) -> list[tuple[float, float]]:
    """At most `limit` points that keep the look: largest triangle three buckets (Steinarsson 2013)."""
    points = list(zip(xs, ys, strict=True))
    if len(points) <= limit:
        return points
    kept, size = [points[0]], (len(points) - 2) / (limit - 2)
    for bucket in range(limit - 2):
        start, end = 1 + int(bucket * size), 1 + int((bucket + 1) * size)
        after = points[end : 1 + int((bucket + 2) * size)] or points[-1:]
        bx = sum(p[0] for p in after) / len(after)
        by = sum(p[1] for p in after) / len(after)
        ax, ay = kept[-1]
        kept.append(
            max(
                points[start:end],
                key=lambda p: abs((ax - bx) * (p[1] - ay) - (ax - p[0]) * (by - ay)),
            )
        )
    return [*kept, points[-1]]


def _finite(line: Line) -> Line:
    pairs = [(a, b) for a, b in zip(line.xs, line.ys, strict=True) if math.isfinite(b)]
    return Line(
        name=line.name,
        xs=[a for a, _ in pairs],
        ys=[b for _, b in pairs],
        cls=line.cls,
        smooth=line.smooth,
    )
