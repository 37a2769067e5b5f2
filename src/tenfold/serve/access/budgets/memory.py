"""Budgets in one process's memory: for tests, and for a gateway of one worker that need not remember."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tenfold.serve.access.budgets.base import (
    Ask,
    Reservation,
    Settlement,
    Standing,
    Verdict,
)
from tenfold.serve.access.budgets.posting import credit, forfeit, post

_REMEMBERED = 100_000
"""Forfeited and local reservations that can still be told from unknown ones."""


class MemoryBudgets:
    """The in-memory twin of the stores."""

    name = "memory"

    def __init__(self) -> None:
        self._rows: dict[str, Standing] = {}
        self._open: dict[str, Reservation] = {}
        self._forfeited: OrderedDict[str, None] = OrderedDict()
        self._booked: OrderedDict[str, None] = OrderedDict()

    def apply_now(
        self, settlements: Sequence[Settlement], asks: Sequence[Ask]
    ) -> list[Verdict] | None:
        return post(self, settlements, asks)

    async def apply(self, settlements: Sequence[Settlement], asks: Sequence[Ask]) -> list[Verdict]:
        return post(self, settlements, asks)

    async def standings(self, rows: Sequence[str]) -> list[Standing]:
        return [self.standing(row) for row in rows]

    async def credit(self, row: str, amount: int) -> int:
        return credit(self, row, amount)

    async def expire(self, now_ms: int, most: int = 500) -> int:
        late = [r for r in self._open.values() if r.expires_ms <= now_ms][:most]
        for reservation in late:
            forfeit(self, reservation)
        return len(late)

    async def close(self) -> None:
        pass

    # The books.

    def standing(self, row: str) -> Standing:
        return self._rows.get(row, Standing())

    def set_standing(self, row: str, standing: Standing) -> None:
        self._rows[row] = standing

    def is_open(self, reservation: Reservation) -> bool:
        return reservation.id in self._open

    def open(self, reservation: Reservation) -> bool:
        if reservation.id in self._open:
            return False
        self._open[reservation.id] = reservation
        return True

    def shut(self, reservation: Reservation) -> bool:
        return self._open.pop(reservation.id, None) is not None

    def forfeit(self, reservation: Reservation) -> None:
        _note(self._forfeited, reservation.id)

    def redeem(self, reservation: Reservation) -> bool:
        return self._forfeited.pop(reservation.id, self) is None

    def remember(self, reservation: Reservation) -> bool:
        if reservation.id in self._booked:
            return False
        _note(self._booked, reservation.id)
        return True


def _note(notes: OrderedDict[str, None], id: str) -> None:
    notes[id] = None
    if len(notes) > _REMEMBERED:
        notes.popitem(last=False)
