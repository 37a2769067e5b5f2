"""Whose engine time was it? Shares that add up to the engine's busy time.

A stretch of work (one prefill, one decode step) is charged in equal parts to the rows it served. Equal,
because a decode step costs about the same for every row in it: the weights are read once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Charged(Protocol):
    compute_s: float


class LapMeter:
    """Stretches follow one another without gaps between `start` and `stop`, pauses left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mark: float | None = None
        self._carried_s = 0.0
        self.busy_s = 0.0

    def start(self) -> None:
        """Work begins or goes on, unless it had not ended."""
        if self._mark is None:
            self._mark = self._clock() - self._carried_s
            self._carried_s = 0.0

    def pause(self) -> None:
        """Waiting for somebody else begins; what was worked since the last lap stays for the next."""
        if self._mark is not None:
            self._carried_s = self._clock() - self._mark
            self._mark = None

    def stop(self) -> None:
        """Nothing left to do; time until the next start is nobody's."""
        self._mark = None
        self._carried_s = 0.0

    def lap(self, served: Sequence[Charged]) -> None:
        """Charge the time since the last lap to those it served."""
        now = self._clock()
        if self._mark is None or not served:
            return
        took_s = now - self._mark
        self._mark = now
        self.busy_s += took_s
        for one in served:
            one.compute_s += took_s / len(served)
