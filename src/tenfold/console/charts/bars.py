"""Horizontal bars: one value each, with its text, an uncertainty where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    label: str
    value: float
    text: str
    """The value as it is written beside the bar."""
    cls: str = "s1"
    spread: float = 0.0
    """Half width of the uncertainty, in the value's own unit."""
    edges: tuple[float, float] | None = None
    """Or its two ends, where it is not as wide on both sides."""

    @property
    def ends(self) -> tuple[float, float]:
        return self.edges or (self.value - self.spread, self.value + self.spread)


def bars(
    rows: Sequence[Bar],
    *,
    label: str,
    width: int = 560,
    label_width: int = 150,
    value_width: int = 96,
) -> Markup:
    """All bars share one scale that starts at zero."""
    if not rows:
        return Markup("")
    pitch, thick, top = 30, 14, 4
    left, right = label_width, width - value_width
    longest = max(max(max(row.value, row.ends[1]) for row in rows), 1e-300)
    marks: list[Markup] = [
        element("line", cls="grid", x1=left, x2=left, y1=0, y2=top * 2 + pitch * len(rows))
    ]
    for index, row in enumerate(rows):
        y = top + index * pitch + (pitch - thick) / 2
        length = max(1.5, row.value / longest * (right - left)) if row.value > 0 else 0.0
        marks.append(
            element("text", row.label, cls="label", x=left - 12, y=y + 11, text_anchor="end")
        )
        marks.append(
            element("rect", title(f"{row.label}: {row.text}"), cls=f"bar {row.cls}", x=left, y=y,
                    width=length, height=thick, rx=2)
        )  # fmt: skip
        reach = left + length
        if row.spread or row.edges:
            middle = y + thick / 2
            low, high = (left + max(0.0, end) / longest * (right - left) for end in row.ends)
            reach = max(reach, high)
            marks.append(
                element("path", cls="spread",
                        d=f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8")
            )  # fmt: skip
        marks.append(element("text", row.text, cls="value", x=reach + 8, y=y + 11))
    return svg(width, top * 2 + pitch * len(rows), label, *marks, cls="bars")
