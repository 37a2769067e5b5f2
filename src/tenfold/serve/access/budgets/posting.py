"""How amounts are booked, once for every store that is a table of keys and values on this host. (Redis has
the same rules in Lua; one suite of tests holds all of them to it.) Pure: it knows no file and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tenfold.serve.access.budgets.base import Ask, Reservation, Settlement, Standing, Verdict


class Books(Protocol):
    """What a store keeps. Standings of rows; reservations that are open, forfeited, or booked locally."""

    def standing(self, row: str) -> Standing: ...

    def set_standing(self, row: str, standing: Standing) -> None: ...

    def is_open(self, reservation: Reservation) -> bool: ...

    def open(self, reservation: Reservation) -> bool:
        """Put it among the open ones; False when it is there already."""
        ...

    def shut(self, reservation: Reservation) -> bool:
        """Take an open reservation out; False when it is not there."""
        ...

    def forfeit(self, reservation: Reservation) -> None: ...

    def redeem(self, reservation: Reservation) -> bool:
        """Take a forfeited one out; False when it is not there."""
        ...

    def remember(self, reservation: Reservation) -> bool:
        """Note that a local one was booked; False when that was noted before."""
        ...


def post(books: Books, settlements: Sequence[Settlement], asks: Sequence[Ask]) -> list[Verdict]:
    """See BudgetStore.apply."""
    for reservation, amount in settlements:
        _settle(books, reservation, amount)
    return [_decide(books, reservation, limits) for reservation, limits in asks]


def _settle(books: Books, reservation: Reservation, amount: int) -> None:
    held = reservation.amount
    if books.shut(reservation):
        if reservation.local:
            books.remember(reservation)
        for row in reservation.rows:
            spent, reserved, forfeited = books.standing(row)
            books.set_standing(row, Standing(spent + amount, reserved - held, forfeited))
    elif books.redeem(reservation):
        if reservation.local:
            books.remember(reservation)
        for row in reservation.rows:
            spent, reserved, forfeited = books.standing(row)
            # Less than it was when an operator gave some of it back.
            left = max(0, forfeited - held)
            books.set_standing(row, Standing(spent + amount, reserved, left))
    elif reservation.local and books.remember(reservation):
        for row in reservation.rows:
            spent, reserved, forfeited = books.standing(row)
            books.set_standing(row, Standing(spent + amount, reserved, forfeited))


def _decide(books: Books, reservation: Reservation, limits: Sequence[int]) -> Verdict:
    rows, amount = reservation.rows, reservation.amount
    standings = [books.standing(row) for row in rows]
    for (spent, reserved, forfeited), limit in zip(standings, limits, strict=True):
        if spent + reserved + forfeited + amount > limit:
            return Verdict(books.is_open(reservation), tuple(standings))
    if not books.open(reservation):
        return Verdict(True, tuple(standings))
    for index, (spent, reserved, forfeited) in enumerate(standings):
        after = standings[index] = Standing(spent, reserved + amount, forfeited)
        books.set_standing(rows[index], after)
    return Verdict(True, tuple(standings))


def forfeit(books: Books, reservation: Reservation) -> None:
    """Nobody settled it in time: charge it in full, apart from what was spent."""
    if books.shut(reservation):
        books.forfeit(reservation)
        for row in reservation.rows:
            spent, reserved, forfeited = books.standing(row)
            books.set_standing(
                row,
                Standing(spent, reserved - reservation.amount, forfeited + reservation.amount),
            )


def credit(books: Books, row: str, amount: int) -> int:
    """Give back up to `amount` of what was forfeited; returns how much that was."""
    spent, reserved, forfeited = books.standing(row)
    given = max(0, min(amount, forfeited))
    if given:
        books.set_standing(row, Standing(spent, reserved, forfeited - given))
    return given
