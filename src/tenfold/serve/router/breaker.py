"""A circuit breaker: closed, open, half-open, with a pause that doubles.

Nygard, Release It! (2007). Failures in a row or a share of failures open it; after a pause a few requests
are let through as probes, and their luck decides. It knows neither what a member is nor whether it may be
spared: `may_open` says so at the moment it would open.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tenfold.serve.router.config import RouterConfig

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
_WINDOW_S = 10.0
_LEAST_REQUESTS = 20


class Breaker:
    """For one event loop. Times are seconds on one monotonic clock."""

    __slots__ = (
        "_draw", "_epoch", "_failures", "_in_a_row", "_pause_s", "_requests", "_successes",
        "_window_ends", "config", "may_open", "num_opened", "num_probes", "state", "until",
    )  # fmt: skip

    def __init__(
        self,
        config: RouterConfig,
        may_open: Callable[[], bool] = lambda: True,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.state = CLOSED
        self.until = 0.0
        """When an open breaker lets probes through."""
        self.num_probes = 0
        """Probes under way."""
        self.num_opened = 0
        self.may_open = may_open
        self.config = config
        self._draw = draw
        self._epoch = 0
        self._in_a_row = 0
        self._successes = 0
        self._pause_s = config.open_s
        self._requests = self._failures = 0
        self._window_ends = 0.0

    def allows(self, now: float) -> bool:
        """Whether a request may go to the member now."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN:
            if now < self.until:
                return False
            self.half_open()
        return self.num_probes < self.config.half_open_probes

    def enter(self) -> int:
        """A request goes to the member. Hand the number back to `succeeded`, `failed` or `left`; 0 is a
        request like any other, everything else is a probe."""
        if self.state != HALF_OPEN:
            return 0
        self.num_probes += 1
        return self._epoch

    def succeeded(self, probe: int, now: float) -> None:
        if self.state == CLOSED:
            self._in_a_row = 0
            if now >= self._window_ends:
                self._open_window(now)
            self._requests += 1
        elif self._over(probe):
            self._successes += 1
            if self._successes >= self.config.half_open_probes:
                self.close()

    def failed(self, probe: int, now: float) -> None:
        if self.state == CLOSED:
            if now >= self._window_ends:
                self._open_window(now)
            self._requests += 1
            self._failures += 1
            self._in_a_row += 1
            self._judge(now)
        elif self._over(probe):
            self.open(now)

    def broke_off(self, now: float) -> None:
        """A request that had been counted as a success failed after all."""
        if self.state == CLOSED:
            self._failures += 1
            self._judge(now)

    def left(self, probe: int) -> None:
        """The request ended without saying anything about the member (its client left)."""
        self._over(probe)

    def open(self, now: float) -> None:
        # Workers and gateways that saw the same outage must not come back in step.
        self.until = now + self._pause_s * (0.9 + 0.2 * self._draw())
        self._pause_s = min(self.config.max_open_s, self._pause_s * 2)
        self.state = OPEN
        self.num_opened += 1
        self.num_probes = 0

    def half_open(self) -> None:
        """Let probes through from now on."""
        self.state = HALF_OPEN
        self._epoch += 1
        self.num_probes = self._successes = 0

    def close(self) -> None:
        self.state = CLOSED
        self.num_probes = self._in_a_row = self._requests = self._failures = 0
        self._pause_s = self.config.open_s

    def _judge(self, now: float) -> None:
        config = self.config
        many = (
            self._requests >= _LEAST_REQUESTS
            and self._failures >= config.error_share_to_open * self._requests
        )
        if (many or self._in_a_row >= config.failures_to_open) and self.may_open():
            self.open(now)

    def _over(self, probe: int) -> bool:
        """End a probe; False when it was none, or one of an earlier turn."""
        if not probe or probe != self._epoch or self.state != HALF_OPEN:
            return False
        self.num_probes -= 1
        return True

    def _open_window(self, now: float) -> None:
        self._requests = self._failures = 0
        self._window_ends = now + _WINDOW_S
