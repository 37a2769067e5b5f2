"""Requests being worked on: who is waiting, until when, and why a task was ended.

One look per second over all of them replaces a timer each. It knows nothing of answers.
"""

from __future__ import annotations

import asyncio
import time

from tenfold.serve.cache.flight import Flight
from tenfold.serve.gateway.delivery import Delivery

_LOOK_S = 0.5


class Work:
    """One request that no cache could answer at once."""

    __slots__ = ("deadline", "delivery", "ended_by", "flight", "task")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        """On the monotonic clock."""
        self.task: asyncio.Task[None] | None = None
        self.ended_by = ""
        """`client` (it left), `deadline` or `shutdown`, when the task was cancelled by us."""
        self.delivery: Delivery | None = None
        self.flight: Flight | None = None
        """The flight this work leads: others may read along."""

    def client_left(self) -> None:
        """The client closed its connection. What it asked for goes on only if others read along."""
        if self.delivery is not None:
            self.delivery.gone = True
        if self.flight is None or self.task is None or not self.flight.adopt(self.task):
            self.end("client")

    def end(self, why: str) -> None:
        if self.task is not None and not self.task.done() and not self.ended_by:
            self.ended_by = why
            self.task.cancel()


class Works:
    """All of them, for one event loop."""

    def __init__(self) -> None:
        self._under_way: set[Work] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, work: Work) -> None:
        self._under_way.add(work)
        if self._timer is None:
            self._later()

    def discard(self, work: Work) -> None:
        self._under_way.discard(work)

    async def end_all(self, patience_s: float) -> None:
        """Cut off what is still under way, and wait until it has said so."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for work in list(self._under_way):
            work.end("shutdown")
        until = time.monotonic() + patience_s
        while self._under_way and time.monotonic() < until:
            await asyncio.sleep(0.01)

    def _later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for work in list(self._under_way):
            if work.deadline < now:
                work.end("deadline")
        if self._under_way:
            self._later()
