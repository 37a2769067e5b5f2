"""A histogram: how values of one kind spread over classes in their order."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tenfold.console.charts.element import element, svg, title
from tenfold.console.charts.scale import Scale, ticks
from tenfold.console.figures import share


def histogram(
    classes: Sequence[tuple[str, float]],
    *,
    label: str,
    x_unit: str,
    mark_at: int | None = None,
    width: int = 560,
    height: int = 220,
) -> Markup:
    """`classes`: (name, share of all) in the order of the axis. `mark_at`: classes from there on stand out."""
    if not classes:
        return Markup("")
    left, right, top, bottom = 46, 10, 16, 34
    y_ticks = ticks(0, max(part for _, part in classes) or 1.0, 4)
    y = Scale(0, y_ticks[-1], height - bottom, top)
    slot = (width - left - right) / len(classes)
    marks = [
        element("line", cls="grid", x1=left, x2=width - right, y1=y(t), y2=y(t)) for t in y_ticks
    ]
    marks += [
        element("text", share(t), cls="tick", x=left - 8, y=y(t) + 4, text_anchor="end")
        for t in y_ticks
    ]
    every = max(1, -(-len(classes) // 10))
    for index, (name, part) in enumerate(classes):
        x = left + index * slot
        cls = "bar s1" if mark_at is None or index >= mark_at else "bar s2"
        if part:
            marks.append(
                element("rect", title(f"{name}: {share(part)}"), cls=cls, x=x + slot * 0.09, y=y(part),
                        width=slot * 0.82, height=max(0.5, y(0) - y(part)))
            )  # fmt: skip
        if index % every == 0:
            marks.append(
                element(
                    "text",
                    name,
                    cls="tick",
                    x=x + slot / 2,
                    y=height - bottom + 17,
                    text_anchor="middle",
                )
            )
    marks.append(
        element("text", x_unit, cls="axis", x=width - right, y=height - 2, text_anchor="end")
    )
    return svg(width, height, label, *marks, cls="bars")
