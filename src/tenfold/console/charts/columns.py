"""Stacked columns over time: how much of each kind in each bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title
from tenfold.console.charts.scale import Scale, ticks, time_step
from tenfold.console.figures import count


def columns(
    times_s: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    bucket_s: float,
    label: str,
    y_unit: str,
    width: int = 960,
    height: int = 250,
    until_s: float | None = None,
) -> Markup:
    """`series` maps a name (also its CSS class, `t-<name>`) to a value per time; first at the bottom.

    The axis goes on to `until_s` (now, say), so that a quiet end is seen as one.
    """
    if not times_s:
        return Markup("")
    left, right, top, bottom = 46, 8, 26, 24
    start = times_s[0]
    end = max(times_s[-1] + bucket_s, until_s or 0.0)
    totals = [sum(values) for values in zip(*series.values(), strict=True)]
    y_ticks = [t for t in ticks(0, max([*totals, 1]), 4) if t == int(t)]
    x = Scale(start, end, left, width - right)
    y = Scale(0, y_ticks[-1], height - bottom, top)
    marks = [
        element("line", cls="grid", x1=left, x2=width - right, y1=y(t), y2=y(t)) for t in y_ticks
    ]
    marks += [
        element("text", count(t), cls="tick", x=left - 8, y=y(t) + 4, text_anchor="end")
        for t in y_ticks
    ]
    marks += _time_axis(start, end, x, height - bottom + 17)
    marks.append(element("text", y_unit, cls="axis", x=left - 38, y=13))
    thick = min(48.0, max(1.0, (x(bucket_s) - x(0)) * 0.82))
    for index, at_s in enumerate(times_s):
        base = 0.0
        for name, values in series.items():
            if values[index]:
                low, high = y(base), y(base + values[index])
                marks.append(
                    element(
                        "rect", title(f"{_clock(at_s)} {name}: {count(values[index])}"),
                        cls=f"col t-{name}", x=x(at_s), y=high, width=thick,
                        height=max(0.5, low - high),
                    )
                )  # fmt: skip
                base += values[index]
    hover = {
        "x": [round(x(t) + thick / 2, 1) for t in times_s],
        "label": [_clock(t, days=True) for t in times_s],
        "at": list(times_s),
        "plot": [top, height - bottom],
        "series": [
            {"name": name, "cls": f"t-{name}", "values": [count(v) for v in values]}
            for name, values in series.items()
        ],
    }
    return svg(
        width, height, label, *marks, cls="columns wide" if width > 700 else "columns", hover=hover
    )


def _time_axis(start: float, end: float, x: Scale, y: float) -> list[Markup]:
    step = time_step(end - start, 8)
    first = int(start // step) + 1
    return [
        element("text", _clock(n * step, days=step >= 86_400, short=step >= 60), cls="tick",
                x=x(n * step), y=y, text_anchor="middle", data_at=str(n * step),
            data_fine="1" if step < 60 else None)
        for n in range(first, int(end // step) + 1)
        if x.start + 14 <= x(n * step) <= x.end - 14
    ]  # fmt: skip


def _clock(at_s: float, *, days: bool = False, short: bool = True) -> str:
    """UTC, to the minute, with the day where the axis needs it."""
    moment = datetime.fromtimestamp(at_s, UTC)
    if days:
        return moment.strftime("%d %b" if short and at_s % 86_400 == 0 else "%d %b %H:%M")
    return moment.strftime("%H:%M" if short else "%H:%M:%S")
