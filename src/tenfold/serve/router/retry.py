"""What an error means for routing, and how many retries the fleet can bear.

The budget is Finagle's: retries are a share of recent requests plus a floor, so that an outage is not made
worse by a storm of repeated requests. It asks nobody and waits for nothing.
"""

from __future__ import annotations

from collections import deque
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

    The second that is running is counted apart; nine before it are kept.
    """

    __slots__ = (
        "_before", "_ends", "_floor", "_requests", "_retries", "_share", "num_refused",
    )  # fmt: skip

    def __init__(self, share: float, floor_per_s: float) -> None:
        self._share = share
        self._floor = floor_per_s * _WINDOW_S
        self._requests = self._retries = 0
        self._ends = 0.0
        self._before: deque[tuple[int, int]] = deque(maxlen=_WINDOW_S - 1)
        self.num_refused = 0
        """Retries that were not made because there had been too many."""

    def request(self, now: float) -> None:
        if now >= self._ends:
            self._turn(now)
        self._requests += 1

    def withdraw(self, now: float) -> bool:
        """Whether a retry may be made; it counts as made."""
        if now >= self._ends:
            self._turn(now)
        requests = self._requests + sum(requests for requests, _ in self._before)
        retries = self._retries + sum(retries for _, retries in self._before)
        if retries + 1 > self._share * requests + self._floor:
            self.num_refused += 1
            return False
        self._retries += 1
        return True

    def _turn(self, now: float) -> None:
        for _ in range(min(_WINDOW_S, int(now - self._ends) + 1)):
            self._before.append((self._requests, self._retries))
            self._requests = self._retries = 0
        self._ends = int(now) + 1.0
