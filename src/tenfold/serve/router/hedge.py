"""When a request gets a second attempt beside the first, and which of the two is kept.

Dean and Barroso, The Tail at Scale, CACM 56(2), 2013: wait for the 95th percentile of recent times, then
ask somebody else as well; the first to begin is kept and the other is ended. It chooses no member.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

from tenfold.serve.router.retry import RetryBudget
from tenfold.serve.router.routed import Routed

_REMEMBERED = 256
_LEAST_SAMPLES = 20
_SORT_EVERY = 16


Kind = tuple[str, bool]
"""Model, and whether it streams: the first part of a stream is its first token, of others the whole."""


class Recent:
    """A quantile of the last 256 times; sorted anew after every 16."""

    __slots__ = ("_quantile", "_since", "_times", "_value")

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._since = 0
        self._value: float | None = None

    def add(self, time_s: float) -> None:
        self._times.append(time_s)
        self._since += 1

    def value(self) -> float | None:
        """None: fewer than 20 times are known."""
        times = self._times
        if len(times) < _LEAST_SAMPLES:
            return None
        if self._value is None or self._since >= _SORT_EVERY:
            self._value = sorted(times)[min(len(times) - 1, int(self._quantile * len(times)))]
            self._since = 0
        return self._value


class Hedging:
    """The times of each kind of request, and how many second attempts may be made."""

    def __init__(self, share: float, quantile: float) -> None:
        self._quantile = quantile
        self._recent: dict[Kind, Recent] = {}
        self.budget = RetryBudget(share, 0.0)

    def observe(self, kind: Kind, first_part_s: float) -> None:
        recent = self._recent.get(kind)
        if recent is None:
            recent = self._recent[kind] = Recent(self._quantile)
        recent.add(first_part_s)

    def delay_s(self, kind: Kind) -> float | None:
        """How long the first attempt may be silent; None: not known yet."""
        recent = self._recent.get(kind)
        return None if recent is None else recent.value()

    def keep(self, models: Collection[str]) -> None:
        """Forget the models that are not served any more."""
        for kind in [kind for kind in self._recent if kind[0] not in models]:
            del self._recent[kind]


async def race(first: asyncio.Task[Routed], second: asyncio.Task[Routed]) -> Routed:
    """The first answer to begin; the other attempt is ended, and closed if it began in the same moment.

    Raises the error of the one that failed last. When the caller is cancelled, both are over first.
    """
    pending = {first, second}
    failed: asyncio.Task[Routed] | None = None
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task is second):
                if task.exception() is None:
                    for loser in (first, second):
                        if loser is not task:
                            end(loser)
                    return task.result()
                failed = task
    except asyncio.CancelledError:
        await ended(first, second)
        raise
    assert failed is not None
    return failed.result()  # raises


def end(attempt: asyncio.Task[Routed]) -> None:
    """Cancel an attempt; close what it opened if it was quicker than that."""
    attempt.cancel()
    attempt.add_done_callback(_close)


async def ended(*attempts: asyncio.Task[Routed]) -> None:
    """End attempts and return when nothing of them runs any more."""
    for attempt in attempts:
        end(attempt)
    await asyncio.wait(attempts)


def _close(attempt: asyncio.Task[Routed]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
