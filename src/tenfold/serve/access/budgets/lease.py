"""Money set aside for many requests at once: requests that come close together draw on it without a word to the
store, and the store hears once what they came to.

A lease is an ordinary reservation, so nobody else can spend it, and what dies with a worker is forfeited as
any other. It is small beside what is left of every account (`share`), and none is taken where little is
left: then each request asks for itself, and the end of the money is as sharp as ever. What requests do not
use goes back into their lease for the next ones; one that nobody draws on for a moment is settled. It knows
no store.
"""

from __future__ import annotations

from collections.abc import Callable

from tenfold.serve.access.budgets.base import Reservation, Settlement
from tenfold.serve.access.budgets.view import View

LIFE_S = 10.0
"""How long a lease is drawn on. Its reservation lives longer than the longest answer by so much."""
IDLE_S = 0.1
"""After it a lease that nobody draws on is settled."""
_CLOSE_S = 0.02
"""Requests of the same accounts that follow each other faster than this share a lease."""
_FIRST, _MOST = 8, 256
"""Requests' worth of money in the first lease, and in the largest; each is twice the one before."""
_AT_ONCE = 4
"""Leases of the same accounts that one worker holds: long answers keep theirs from being settled."""

Views = tuple[View, ...]


class Lease:
    __slots__ = ("desk", "ends_s", "held", "left", "reservation", "spent", "used_s")

    def __init__(self, desk: Desk, reservation: Reservation, now_s: float) -> None:
        self.desk = desk
        self.reservation = reservation
        self.left = reservation.amount
        """Not drawn, in 1e-9 USD. Below 0 after an answer that came to more than was thought."""
        self.held = 0
        """Drawn by requests under way."""
        self.spent = 0
        self.ends_s = now_s + LIFE_S
        """0: it is ended, and settled when nobody holds a part of it."""
        self.used_s = now_s


class Draw:
    """One request's part of a lease."""

    __slots__ = ("amount", "lease")

    def __init__(self, lease: Lease, amount: int) -> None:
        self.lease: Lease | None = lease
        """None: it is settled."""
        self.amount = amount
        lease.left -= amount
        lease.held += amount


class Desk:
    """The leases of one set of accounts."""

    __slots__ = ("asked_s", "leases", "num_ending", "rows", "worth")

    def __init__(self, rows: tuple[str, ...]) -> None:
        self.rows = rows
        self.leases: list[Lease] = []
        self.num_ending = 0
        """Leases that are ended while requests under way hold parts of them."""
        self.asked_s = 0.0
        """When a request last found nothing to draw on."""
        self.worth = _FIRST


class Leases:
    """Those of one worker."""

    def __init__(self, share: float, settle: Callable[[Settlement], None]) -> None:
        """`share`: most of what is left of an account that one lease may take; 0: there are none."""
        self._share = share
        self._settle = settle
        self._desks: dict[Views, Desk] = {}

    def __bool__(self) -> bool:
        return bool(self._desks)

    def draw(self, views: Views, amount: int, now_s: float) -> Draw | None:
        """From a lease that has as much left. None: ask the store, for `size`."""
        desk = self._desks.get(views)
        if desk is not None:
            for lease in desk.leases:
                if lease.left >= amount and now_s < lease.ends_s:
                    if desk.rows != tuple([view.row for view in views]):  # a new period began
                        return None
                    lease.used_s = now_s
                    return Draw(lease, amount)
        return None

    def size(self, views: Views, amount: int, now_s: float) -> int:
        """How much to reserve for a request of `amount` that nothing could be drawn for: more than that,
        where others follow it closely and there is plenty."""
        if not self._share or not amount:
            return amount
        rows = tuple([view.row for view in views])
        desk = self._desks.get(views)
        if desk is None or desk.rows != rows:
            if desk is not None:
                self._leave(desk)
            desk = self._desks[views] = Desk(rows)
        close, desk.asked_s = now_s - desk.asked_s < _CLOSE_S, now_s
        if not close:
            desk.worth = _FIRST
            return amount
        for lease in desk.leases:
            if lease.left < amount:
                self._end(lease)
        desk.leases = [lease for lease in desk.leases if lease.ends_s]
        if len(desk.leases) + desk.num_ending >= _AT_ONCE:
            return amount
        left = min(view.limit - sum(view.standing) for view in views)
        worth = min(desk.worth, int(left * self._share) // amount)
        return amount * worth if worth >= _FIRST else amount

    def open(self, views: Views, reservation: Reservation, amount: int, now_s: float) -> Draw:
        """A lease that the store has granted; the request that asked is the first to draw on it."""
        desk = self._desks.get(views)
        if desk is None or desk.rows != reservation.rows:  # it went while the store was asked
            if desk is not None:
                self._leave(desk)
            desk = self._desks[views] = Desk(reservation.rows)
        lease = Lease(desk, reservation, now_s)
        desk.leases.append(lease)
        desk.worth = min(2 * desk.worth, _MOST)
        return Draw(lease, amount)

    def settle(self, draw: Draw, amount: int) -> None:
        lease, draw.lease = draw.lease, None
        if lease is None:
            return
        lease.held -= draw.amount
        lease.spent += amount
        lease.left += draw.amount - amount
        if not lease.held and not lease.ends_s:
            lease.desk.num_ending -= 1
            self._settle(Settlement(lease.reservation, lease.spent))

    def sweep(self, now_s: float) -> None:
        """Settle what nobody draws on."""
        for views, desk in list(self._desks.items()):
            kept = []
            for lease in desk.leases:
                idle = not lease.held and now_s - lease.used_s >= IDLE_S
                if idle or now_s >= lease.ends_s:
                    self._end(lease)
                else:
                    kept.append(lease)
            desk.leases = kept
            if not kept and now_s - desk.asked_s >= IDLE_S:
                del self._desks[views]

    def close(self) -> None:
        """At the end: what is still drawn is charged in full, here or (ending leases) when it is forfeited."""
        for desk in self._desks.values():
            for lease in desk.leases:
                self._settle(Settlement(lease.reservation, lease.spent + lease.held))
        self._desks.clear()

    def _leave(self, desk: Desk) -> None:
        for lease in desk.leases:
            self._end(lease)
        desk.leases = []

    def _end(self, lease: Lease) -> None:
        """Nobody draws on it any more; the last request under way settles it."""
        lease.ends_s = 0.0
        if lease.held:
            lease.desk.num_ending += 1
        else:
            self._settle(Settlement(lease.reservation, lease.spent))
