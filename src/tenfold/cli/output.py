"""What a command prints: one JSON document, or words and tables for people. Figures in readable units.

Colour only where a terminal wants it; a status is always a word too.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 140
"""Columns when nobody's terminal says how many there are: tables in logs should not be cut at 80."""

STYLES = {
    "run": "cyan", "running": "cyan", "ran": "green", "fresh": "green", "green": "green", "ok": "green",
    "skip": "dim", "skipped": "dim", "unchanged": "dim", "maybe": "yellow", "stale": "yellow", "missing": "yellow",
    "waiting": "dim", "unknown": "yellow", "warning": "yellow", "interrupted": "yellow",
    "blocked": "red", "failed": "bold red", "red": "bold red", "fault": "bold red",
    "succeeded": "green",
}  # fmt: skip
MARKS = {
    "run": "▶", "running": "▶", "ran": "✓", "fresh": "✓", "green": "✓", "ok": "✓", "succeeded": "✓",
    "skip": "·", "skipped": "·", "unchanged": "·", "maybe": "◇", "stale": "◇", "missing": "○", "waiting": "○",
    "unknown": "?", "warning": "!", "interrupted": "!",
    "blocked": "■", "failed": "✗", "red": "✗", "fault": "✗",
}  # fmt: skip


def console(*, stderr: bool = False) -> Console:
    """A console for people. Plain when the environment asks for it or nobody is watching."""
    from rich.console import Console

    plain = settings.load().plain
    made = Console(stderr=stderr, highlight=False, color_system=None if plain else "auto")
    if not made.is_terminal:
        made.width = PIPED_WIDTH
    return made


def emit(value: Any, as_json: bool, render: Callable[[Console], None]) -> None:
    """The result of a command, in the form that was asked for."""
    if not as_json:
        render(console())
        return
    from tenfold.queries import as_json as plain

    print(json.dumps(plain(value), ensure_ascii=False))


def command_line() -> str:
    """What to type in this shell and folder to run this very `tenfold`, which may not be on the PATH."""
    found = shutil.which("tenfold")
    mine = Path(sys.executable).with_name("tenfold")
    if found is not None and Path(found).resolve() == mine.resolve():
        return "tenfold"
    word, rest = (mine, "") if mine.exists() else (Path(sys.executable), " -m tenfold")
    near = os.path.relpath(word)
    shown = str(word) if near.startswith("..") else near
    return shlex.quote(shown) + rest


def mark(status: str) -> str:
    """A status as a mark and a word, in its colour."""
    style = STYLES.get(status, "")
    text = f"{MARKS.get(status, ' ')} {status}"
    return f"[{style}]{text}[/]" if style else text


def table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A table without lines. Columns in `right` hold figures; the last one may wrap."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for column in columns:
        last = column == columns[-1]
        made.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=not last,
            header_style="bold",
        )
    return made


def size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if abs(num_bytes) < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def figure(value: float) -> str:
    """Four significant digits, whole numbers whole."""
    if abs(value) < 1e15 and (value == int(value) or abs(value) >= 1e4):
        return f"{round(value):,}"
    return f"{value:,.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """A figure with its unit, bytes and seconds and shares as people say them."""
    match unit:
        case "B" | "bytes":
            return size(value)
        case "s":
            return duration(value)
        case "share":
            return f"{value:.1%}"
        case "USD" | "usd":
            return f"${value:.3g}"
        case "J":
            return f"{value:,.0f} J" if value >= 1000 else f"{value:.3g} J"
        case _:
            return f"{figure(value)} {unit}".rstrip()


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve in one line of text: each block the mean of a stretch, between the lowest and the highest."""
    if not values:
        return ""
    count = min(width, len(values))
    edges = [round(i * len(values) / count) for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    blocks = "▁▂▃▄▅▆▇█"
    span = high - low or 1.0
    return "".join(blocks[min(7, int((mean - low) / span * 8))] for mean in means)


def ago(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    for limit, unit, length in ((90 * 60, "min", 60), (36 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds / 86400:.0f} days ago"
