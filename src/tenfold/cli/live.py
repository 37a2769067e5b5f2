"""A run while it goes on: bars in a terminal, a line per change everywhere else. On stderr only.

Listens to Progress and draws; it knows nothing about what runs.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol

from tenfold import settings
from tenfold.cli.output import console, duration, mark
from tenfold.core.progress import Progress

ENDED = ("ran", "failed", "blocked", "skipped")


class Watching(Protocol):
    """A context that takes signs of life."""

    def __call__(self, event: Progress) -> None: ...

    def __enter__(self) -> Watching: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def watching(as_json: bool) -> Watching:
    """Nothing at all under --json; bars on a terminal; else plain lines."""
    if as_json:
        return Silent()
    screen = console(stderr=True)
    return Bars(screen) if screen.is_terminal and not settings.load().plain else Lines(screen)


class Silent:
    def __call__(self, event: Progress) -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Lines(Silent):
    """One line when an asset starts and one when it ends, for logs."""

    def __init__(self, screen: Any) -> None:
        self._screen = screen
        self._seen: dict[str, str] = {}
        self._started_s: dict[str, float] = {}
        self._note: dict[str, str] = {}

    def __call__(self, event: Progress) -> None:
        now_s = time.monotonic()
        self._note[event.asset] = event.note or self._note.get(event.asset, "")
        if self._seen.get(event.asset) == event.status or event.status in ("waiting", "skipped"):
            return
        self._seen[event.asset] = event.status
        if event.status == "running":
            self._started_s[event.asset] = now_s
        note = self._note[event.asset] if event.status == "ran" else ""
        told = [(event.reason or note).partition("\n")[0]]
        if event.status in ENDED and event.asset in self._started_s:
            told.insert(0, duration(now_s - self._started_s[event.asset]))
        text = "  ".join(part for part in told if part)
        self._screen.print(f"{mark(event.status)}  {event.asset}  ", end="")
        self._screen.print(text, markup=False, soft_wrap=True)


class Bars(Silent):
    """A bar per asset that runs, with time and what the step says about itself; unchanged ones in one line."""

    def __init__(self, screen: Any) -> None:
        from rich.progress import (
            BarColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import (
            Progress as RichProgress,
        )
        from rich.table import Column

        self._unchanged = 0
        self._tasks: dict[str, Any] = {}
        self._bars = RichProgress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[status]}", table_column=Column(width=9)),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn(
                "[dim]{task.fields[note]}", markup=True, table_column=Column(ratio=1, no_wrap=True)
            ),
            console=screen,
            expand=True,
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._unchanged:
            count = self._unchanged
            self._bars.console.print(
                f"{mark('unchanged')}  {count} asset{'s' if count > 1 else ''}"
            )

    def __call__(self, event: Progress) -> None:
        from rich.markup import escape

        if event.status == "skipped" and event.asset not in self._tasks:
            self._unchanged += 1
            return
        if event.status == "waiting":
            return
        if event.asset not in self._tasks:
            self._tasks[event.asset] = self._bars.add_task(
                event.asset, total=1.0, status=mark(event.status), note=""
            )
        task = self._tasks[event.asset]
        done = 1.0 if event.status == "ran" else event.done
        self._bars.update(task, completed=done, status=mark(event.status))
        note = (event.note or event.reason).partition("\n")[0]
        if note:
            self._bars.update(task, note=escape(note))
        if event.status in ENDED:
            self._bars.stop_task(task)
