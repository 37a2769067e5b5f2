"""What an error means for routing, and how many retries the fleet can bear.

The budget is Finagle's: retries are a share of recent requests plus a floor, so that an outage is not made
worse by a storm of repeated requests. It asks nobody and waits for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.errors import BackendError
from tenfold.serve.backends.base import BackendRefusal, PromptTooLong, Unreachable

_WINDOW_S = 10
_PASSING = frozenset({502, 503, 504, 529})
"""Statuses of a server that may answer next time, or whose neighbour may; 529 is Anthropic's 503."""
_NOT_BEGUN = frozenset({429, 503, 529})
"""Statuses that say that no work was done."""


@dataclass(frozen=True, slots=True)
class Verdict:
    retry: bool
    """Another attempt with the same model makes sense."""
    fault: bool
    """The member is to blame; its breaker counts it."""
    cause: str
    """`error`, `timeout`, `busy`, `context`; `request`: no other model would do better."""
    rest_s: float | None = None
    """How long the member asked to be left alone."""


_REQUEST = Verdict(False, False, "request")
_CONTEXT = Verdict(False, False, "context")


def judge(error: BaseException, side_effects: bool) -> Verdict:
    """What to do after an attempt that ended with `error` before its first part.

    With side effects only what surely has not begun is tried again.
    """
    if isinstance(error, PromptTooLong):
        return _CONTEXT
    if isinstance(error, BackendRefusal):
        status = error.status
        if status == 429:
            return Verdict(True, False, "busy", error.retry_after_s)
        if status in _PASSING:
            # With a Retry-After it is full, not broken.
            busy = error.retry_after_s is not None
            return Verdict(
                status in _NOT_BEGUN or not side_effects,
                not busy,
                "busy" if busy else "timeout" if status == 504 else "error",
                error.retry_after_s,
            )
        if status >= 500:
            return Verdict(False, True, "error")
        if error.code == "context_length_exceeded":
            return _CONTEXT
        return _REQUEST
    if isinstance(error, TimeoutError):
        return Verdict(not side_effects, True, "timeout")
    if isinstance(error, Unreachable | BackendError):
        return Verdict(not side_effects, True, "error")
    return _REQUEST


class RetryBudget:
    """At most `share` retries per request of the last 10 s, plus `floor_per_s` for each of those seconds.

    Ten slots of one second; a slot is emptied when its second comes round again.
    """

    __slots__ = ("_at", "_floor", "_requests", "_retries", "_share", "num_refused")

    def __init__(self, share: float, floor_per_s: float) -> None:
        self._share = share
        self._floor = floor_per_s * _WINDOW_S
        self._requests = [0] * _WINDOW_S
        self._retries = [0] * _WINDOW_S
        self._at = 0
        self.num_refused = 0
        """Retries that were not made because there had been too many."""

    def request(self, now: float) -> None:
        second = int(now)
        if second != self._at:
            self._turn(second)
        self._requests[second % _WINDOW_S] += 1

    def withdraw(self, now: float) -> bool:
        """Whether a retry may be made; it counts as made."""
        second = int(now)
        if second != self._at:
            self._turn(second)
        if sum(self._retries) + 1 > self._share * sum(self._requests) + self._floor:
            self.num_refused += 1
            return False
        self._retries[second % _WINDOW_S] += 1
        return True

    def _turn(self, second: int) -> None:
        for passed in range(max(self._at + 1, second - _WINDOW_S + 1), second + 1):
            self._requests[passed % _WINDOW_S] = self._retries[passed % _WINDOW_S] = 0
        self._at = second
