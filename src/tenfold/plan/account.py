"""A gateway's account of energy and money over a replay, read from its Prometheus page.

The gateway books in windows (a second or so). An account is therefore read when nothing waits to be booked,
and the idle draw of the seconds around the replay is taken out again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tenfold.errors import BackendError
from tenfold.plan.scrape import scrape

JOULES = "tenfold_joules_total"
USD = "tenfold_usd_total"
WAITING = "tenfold_events_waiting"
POLL_S = 0.05
SETTLE_S = 5.0
"""Longest wait for the last window to be booked."""


@dataclass(frozen=True, slots=True)
class Account:
    """Cumulative; idle is a part of each. `at_s` is a monotonic time."""

    at_s: float
    joules: float
    idle_joules: float
    usd: float
    idle_usd: float


def read_account(url: str, key: str) -> Account | None:
    """The account once all that has ended is booked; None for an endpoint that keeps none."""
    end = time.monotonic() + SETTLE_S
    time.sleep(POLL_S)  # the last answer is on its way into the queue
    while True:
        try:
            counters = scrape(url, key)
        except BackendError:
            return None
        now = time.monotonic()
        if JOULES not in counters and USD not in counters:
            return None
        if counters.get(WAITING, 0.0) <= 0.0 or now >= end:
            return _account(counters, now)
        time.sleep(POLL_S)


def spent(before: Account, after: Account, wall_s: float) -> tuple[float, float]:
    """(joules, usd) of the `wall_s` seconds of work between two readings, their idle draw included."""
    between_s = max(after.at_s - before.at_s, 1e-9)
    idle_part = min(1.0, wall_s / between_s)
    idle_joules = after.idle_joules - before.idle_joules
    idle_usd = after.idle_usd - before.idle_usd
    joules = (after.joules - before.joules - idle_joules) + idle_joules * idle_part
    usd = (after.usd - before.usd - idle_usd) + idle_usd * idle_part
    return max(0.0, joules), max(0.0, usd)


def _account(counters: Mapping[str, float], now: float) -> Account:
    def idle(name: str) -> float:
        return counters.get(name + '{part="idle"}', 0.0)

    return Account(now, counters.get(JOULES, 0.0), idle(JOULES), counters.get(USD, 0.0), idle(USD))
