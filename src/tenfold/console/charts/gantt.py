"""A Gantt chart: what ran when, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title
from tenfold.console.charts.scale import Scale, time_step
from tenfold.console.figures import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    label: str
    start_s: float | None
    """Since the start of the run; None: it took no time (skipped, waiting, blocked)."""
    wall_s: float
    status: str
    """Also the CSS class, `st-<status>`."""
    note: str = ""
    href: str | None = None


def gantt(spans: Sequence[Span], *, total_s: float, label: str, width: int = 960) -> Markup:
    if not spans:
        return Markup("")
    pitch, thick, top, left, right = 28, 14, 24, 150, 96
    height = top + pitch * len(spans) + 8
    x = Scale(0.0, max(total_s, 1e-3), left, width - right)
    step = time_step(x.high, 8)
    marks: list[Markup] = []
    for index in range(int(x.high / step) + 1):
        at = x(index * step)
        marks.append(element("line", cls="grid", x1=at, x2=at, y1=top - 4, y2=height))
        marks.append(
            element("text", duration(index * step), cls="tick", x=at, y=13, text_anchor="middle")
        )
    for row, span in enumerate(spans):
        y = top + row * pitch + (pitch - thick) / 2
        name = element("text", span.label, cls="label", x=left - 12, y=y + 11, text_anchor="end")
        marks.append(element("a", name, href=span.href) if span.href else name)
        if span.start_s is None:
            words = f"{span.status}{': ' + span.note if span.note else ''}"
            marks.append(
                element("path", cls=f"tickmark st-{span.status}", d=f"M{left + 4} {y + 3}v8")
            )
            marks.append(
                element("text", words, cls=f"note st-{span.status}", x=left + 14, y=y + 11)
            )
            continue
        start = x(span.start_s)
        long = max(2.0, x(span.start_s + span.wall_s) - start)
        text = duration(span.wall_s) + ("" if span.status == "ran" else f" · {span.status}")
        marks.append(
            element(
                "rect", title(f"{span.label}: {span.status}, {duration(span.wall_s)}"),
                cls=f"bar st-{span.status}", x=start, y=y, width=long, height=thick, rx=3,
            )
        )  # fmt: skip
        inside = start + long + 8 + 7 * len(text) > width
        marks.append(
            element("text", text, cls="value" + (" inside" if inside else ""), y=y + 11,
                    x=start + long + (-8 if inside else 8), text_anchor="end" if inside else "start")
        )  # fmt: skip
    return svg(width, height, label, *marks, cls="gantt wide", role="group")
