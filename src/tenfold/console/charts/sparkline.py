"""A sparkline: the shape of a series, without axes, for a tile or a table cell."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tenfold.console.charts.element import element, path_through, svg
from tenfold.console.charts.scale import Scale


def sparkline(
    values: Sequence[float], *, label: str, width: int = 220, height: int = 40, cls: str = "s1"
) -> Markup:
    """From zero up, so that a flat line at the bottom means nothing happened."""
    if len(values) < 2:
        return Markup("")
    x = Scale(0, len(values) - 1, 2, width - 2)
    y = Scale(min(0.0, *values), max(*values, 1e-12), height - 3, 4)
    points = [(x(index), y(value)) for index, value in enumerate(values)]
    line = path_through(points)
    area = f"{line}L{points[-1][0]:.1f} {height - 2}L{points[0][0]:.1f} {height - 2}Z"
    last = points[-1]
    return svg(
        width,
        height,
        label,
        element("path", d=area, cls=f"area {cls}"),
        element("path", d=line, cls=f"line {cls}"),
        element("circle", cls=f"dot {cls}", cx=last[0], cy=last[1], r=2.5),
        cls="sparkline",
    )
