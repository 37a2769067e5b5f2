"""What a budget is made of, and what a store of budgets must do. It knows no storage and no clock.

Money is counted in whole billionths of a dollar: sums of floats would drift, and two stores would drift
apart. An account of a period is a row of its own (`key:app@2026-11`), so a new period starts at nothing
and a late settlement is booked where its reservation was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

NANO = 1_000_000_000
MOST_USD = 4e6
"""Of one account: Redis's Lua counts in floats, exact below 2**53 billionths, and sums come near twice it."""
PERIODS = ("total", "day", "month")
FOREVER_S = float("inf")


def nano(usd: float) -> int:
    """Dollars as billionths, to the nearest."""
    return round(usd * NANO)


def usd(amount: int) -> float:
    return amount / NANO


@dataclass(frozen=True, slots=True)
class Account:
    """Where spending is booked, and how much of it there may be per period."""

    name: str
    """`key:NAME`, `account:NAME` or `tenant:NAME`."""
    limit: int
    """In 1e-9 USD."""
    period: str = "total"


def row_of(name: str, period: str, at_s: float) -> tuple[str, float]:
    """The row an account is booked on at a time, and when that period ends (seconds since the epoch)."""
    if period == "total":
        return f"{name}@total", FOREVER_S
    day = datetime.fromtimestamp(at_s, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return f"{name}@{day:%Y-%m-%d}", (day + timedelta(days=1)).timestamp()
    following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return f"{name}@{day:%Y-%m}", following.timestamp()


_KEPT_S = {10: 62 * 86400.0, 7: 400 * 86400.0}
"""How long the rows of days and months (by the length of their labels) are kept after they began."""


def kept_s(row: str) -> float | None:
    """How long a row is kept after its period began; None: for ever."""
    return _KEPT_S.get(len(row.rpartition("@")[2]))


def outlived(row: str, at_s: float) -> bool:
    """Whether a row's period is so long ago that nobody asks for it."""
    label = row.rpartition("@")[2]
    kept = kept_s(row)
    if kept is None:
        return False
    began = datetime.fromisoformat(label if len(label) == 10 else label + "-01")
    return began.replace(tzinfo=UTC).timestamp() + kept < at_s


class Reservation(msgspec.Struct, frozen=True, array_like=True):
    """Money set aside for one request, until it is settled. Plain data: another process may settle it."""

    id: str
    amount: int
    """In 1e-9 USD."""
    expires_ms: int
    """When it is taken for spent, milliseconds since the epoch: whoever made it is gone."""
    rows: tuple[str, ...]
    """The accounts' rows."""
    local: bool = False
    """Made while the store was away: the store has never heard of it."""


class Settlement(NamedTuple):
    reservation: Reservation
    amount: int
    """What it came to, in 1e-9 USD; 0 gives all of it back."""


class Ask(NamedTuple):
    """A reservation to be made, if every row has room for it."""

    reservation: Reservation
    limits: tuple[int, ...]
    """Of the rows, in their order."""


class Standing(NamedTuple):
    """How an account's row stands, in 1e-9 USD."""

    spent: int = 0
    reserved: int = 0
    forfeited: int = 0
    """Reservations that nobody settled in time: charged in full, for the work may have been done."""

    @property
    def used(self) -> int:
        """What is gone, whatever becomes of the requests under way."""
        return self.spent + self.forfeited


class Verdict(NamedTuple):
    granted: bool
    standings: tuple[Standing, ...]
    """Of the rows asked for, after the decision."""


class StoreLost(Exception):
    """The store does not answer. Not an error of a request: policy decides what follows."""


class BudgetStore(Protocol):
    """Books every amount once. What `apply` does happens entirely or not at all, whoever else is at it."""

    name: str

    def apply_now(
        self, settlements: Sequence[Settlement], asks: Sequence[Ask]
    ) -> list[Verdict] | None:
        """`apply` without waiting, or None when that cannot be done now. Raises StoreLost."""
        ...

    async def apply(self, settlements: Sequence[Settlement], asks: Sequence[Ask]) -> list[Verdict]:
        """Book the settlements, then decide the asks in order: granted when spent + reserved +
        forfeited + amount is within the limit of every row.

        A settlement of a reservation that is not there was booked before and changes nothing, unless it
        is `local`: then it is booked once by its id. One that was forfeited is booked as what it came to.
        An ask that was granted before is granted again without setting more aside. Raises StoreLost.
        """
        ...

    async def standings(self, rows: Sequence[str]) -> list[Standing]:
        """Raises StoreLost."""
        ...

    async def credit(self, row: str, amount: int) -> int:
        """Give back up to `amount` of what was forfeited; returns how much. Raises StoreLost."""
        ...

    async def expire(self, now_ms: int, most: int = 500) -> int:
        """Forfeit at most so many reservations that nobody settled in time; how many. Raises StoreLost."""
        ...

    async def close(self) -> None: ...
