"""A factory as notebooks show it: what is declared. Opens nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tenfold.core.graph import Node


def as_html(name: str, nodes: Iterable[Node]) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(node.name)}</b></td><td><code>{escape(node.step.name)}</code></td>"
        f"<td>{escape(', '.join(node.needs))}</td></tr>"
        for node in nodes
    )
    return (
        f"<b>factory {escape(name)}</b>"
        f"<table><tr><th>asset</th><th>step</th><th>needs</th></tr>{rows}</table>"
    )
