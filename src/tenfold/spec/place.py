"""Where in which file something stands, and how a path into a factory file is written.

A path is a tuple of keys and list positions; its text is `assets.score.checks[0]`. Knows no YAML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a text. `line` 0 means the source has no lines: a `--set` on the command line."""

    file: str
    line: int = 0
    """From 1."""
    column: int = 0
    """From 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, at which path, and what (with a next action where there is one)."""

    place: Place
    path: Path
    text: str

    def __str__(self) -> str:
        path = write_path(self.path)
        return f"{self.place} {path}: {self.text}" if path else f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value's name stands and where the value itself begins."""

    name: Place
    value: Place


class Places(dict[Path, Spot]):
    """path -> spot. A path that is not there is answered by its nearest ancestor."""

    def of(self, path: Path) -> Place:
        """Where the name at `path` stands: what a missing or an unknown field points at."""
        return self._nearest(path).name

    def of_value(self, path: Path) -> Place:
        """Where the value at `path` begins: what a wrong value points at."""
        return self._nearest(path).value

    def _nearest(self, path: Path) -> Spot:
        while path and path not in self:
            path = path[:-1]
        return self[path]

    def drop(self, path: Path) -> None:
        """Forget `path` and what is below it."""
        for stale in [p for p in self if p[: len(path)] == path]:
            del self[stale]


def write_path(path: Path) -> str:
    """('assets', 'score', 'checks', 0) -> `assets.score.checks[0]`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


_PART = re.compile(r"(?:^|\.)(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")


def read_path(text: str) -> Path | None:
    """The inverse of `write_path`; None when the text is not a path."""
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        parts.append(match["key"] if match["key"] is not None else int(match["index"]))
        position = match.end()
    return tuple(parts)
