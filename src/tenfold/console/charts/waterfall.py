"""A waterfall: what comes in, what is lost on the way and by which cause, what stays."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title
from tenfold.console.figures import count, share


def waterfall(
    start: tuple[str, float],
    losses: Sequence[tuple[str, float]],
    end: tuple[str, float],
    *,
    label: str,
    width: int = 720,
    label_width: int = 230,
    value_width: int = 130,
) -> Markup:
    """`losses` stand one below the other where the one before ended. All share one scale from zero."""
    if start[1] <= 0:
        return Markup("")
    pitch, thick, top = 28, 14, 4
    left, right = label_width, width - value_width
    per_unit = (right - left) / start[1]
    rows = [(*start, 0.0, "s2")]
    level = start[1]
    for name, lost in losses:
        level -= lost
        rows.append((name, lost, level, "s3"))
    rows.append((*end, 0.0, "s1"))
    height = top * 2 + pitch * len(rows)
    marks: list[Markup] = [element("line", cls="grid", x1=left, x2=left, y1=0, y2=height)]
    for index, (name, value, base, cls) in enumerate(rows):
        y = top + index * pitch + (pitch - thick) / 2
        text = count(value) if index == 0 else f"{count(value)}, {share(value / start[1])}"
        x = left + max(0.0, base) * per_unit
        length = max(1.5 if value else 0.0, value * per_unit)
        marks += [
            element("text", _cut(name), title(name), cls="label", x=left - 12, y=y + 11, text_anchor="end"),
            element("rect", title(f"{name}: {text}"), cls=f"bar {cls}", x=x, y=y, width=length, height=thick, rx=2),
            element("text", text, cls="value", x=x + length + 8, y=y + 11),
        ]  # fmt: skip
        if 0 < index < len(rows):
            at = x + (length if cls == "s3" else value * per_unit)
            marks.append(element("line", cls="grid", x1=at, x2=at, y1=y - (pitch - thick), y2=y))
    return svg(width, height, label, *marks, cls="bars")


def _cut(name: str, most: int = 34) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
