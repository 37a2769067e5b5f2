"""SVG elements as escaped text. What comes in as text can never become markup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape


def element(tag: str, *children: Any, **attributes: Any) -> Markup:
    """`<tag ...>children</tag>`. `cls` is `class`, `_` in names is `-`; None leaves an attribute out."""
    text = "".join(
        f" {'class' if name == 'cls' else name.replace('_', '-') if name != 'viewBox' else name}"
        f'="{escape(_number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(str(escape(child)) for child in children if child is not None)
    return Markup(f"<{tag}{text}>{inner}</{tag}>" if inner else f"<{tag}{text}/>")


def svg(
    width: float,
    height: float,
    label: str,
    *children: Any,
    cls: str,
    hover: Any = None,
    role: str = "img",
    natural: bool = False,
) -> Markup:
    """The outermost element. It scales with its box; `label` is what a screen reader says.

    A drawing with links inside is a `group`: an `img` would hide them. A `natural` one is never
    drawn larger than its own size.
    """
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        cls=f"chart {cls}",
        role=role,
        aria_label=label,
        width=width if natural else None,
        data_width=width,
        tabindex="0" if hover else None,
        data_hover=json.dumps(hover, separators=(",", ":"), ensure_ascii=False) if hover else None,
    )


def title(text: str) -> Markup:
    return element("title", text)


def path_through(points: Sequence[tuple[float, float]]) -> str:
    """The `d` of a polyline."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _number(value: Any) -> str:
    """Pixels to a tenth: enough for the eye, and a page stays small."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
