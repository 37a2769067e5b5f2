"""Budgets as a worker uses them: look, reserve, settle. The store decides; here is what a process knows of
it, the queue of settlements on their way, and what happens while the store is away.

A look (`check`) costs nothing and refuses only when an account is spent for good. A reservation is one
atomic step in the store, or a part of one that was made for many (`lease`). A settlement is queued and goes
along with the next reservation, or by itself after `flush_s`. It knows no storage, no prices and no protocol
but refusals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal
from weakref import WeakValueDictionary

from tenfold.errors import ConfigError
from tenfold.serve.access.budgets.base import (
    Account,
    Ask,
    BudgetStore,
    Reservation,
    Settlement,
    Standing,
    StoreLost,
    nano,
)
from tenfold.serve.access.budgets.lease import IDLE_S, LIFE_S, Draw, Leases
from tenfold.serve.access.budgets.view import View, held, spent
from tenfold.serve.access.grant import Grant
from tenfold.serve.refusal import Refusal, retry_after

log = logging.getLogger("tenfold.gateway")

_BATCH = 128
"""Settlements, and asks, in one transaction of a store: some hundred microseconds at most."""
_STOP_S = 5.0
"""How long a call that is under way may take at the end."""
_EXPIRE_S = 5.0
"""How often reservations of the dead are looked for."""


class Budgets:
    """One worker's budgets. Everything is called on the event loop; `start` before, `stop` after."""

    def __init__(
        self,
        store: BudgetStore,
        *,
        on_store_loss: Literal["local", "refuse"] = "local",
        reservation_s: float = 660.0,
        flush_s: float = 0.02,
        refresh_s: float = 1.0,
        max_queue: int = 100_000,
        lease_share: float = 1 / 64,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`reservation_s`: after it a reservation that nobody settled is forfeited; must be longer than
        the longest answer. `flush_s`: how long a settlement may wait. `refresh_s`: how soon a spent
        account notices a credit, and how often the store is tried while it is away. `max_queue`:
        settlements that may wait; beyond them nothing more is reserved. `lease_share`: how much of what is
        left of an account may be set aside at once for requests that come close together (0: for each by
        itself). Raises ConfigError."""
        if on_store_loss not in ("local", "refuse"):
            raise ConfigError("on_store_loss must be local or refuse", seen=on_store_loss)
        for name, value in (
            ("reservation_s", reservation_s), ("flush_s", flush_s), ("refresh_s", refresh_s),
            ("max_queue", max_queue),
        ):  # fmt: skip
            if not value > 0:
                raise ConfigError(f"{name} must be above 0", seen=value)
        self.store = store
        self._policy = on_store_loss
        self._life_ms = int(reservation_s * 1000)
        self._flush_s = flush_s
        self._refresh_s = refresh_s
        self._max_queue = max_queue
        self._now = now
        self._views: WeakValueDictionary[Account, View] = WeakValueDictionary()
        """By account; the grants own them."""
        self._settlements: deque[Settlement] = deque()
        self._leases = Leases(lease_share, self._queue)
        self._sweeper: asyncio.TimerHandle | None = None
        self._asks: deque[tuple[Ask, tuple[View, ...], asyncio.Future[bool]]] = deque()
        self._local: dict[str, int] = {}
        """By row: reserved and spent by this process since the store went away."""
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._wanted = asyncio.Event()
        self._ending = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.degraded = False
        """The store is away: what is enforced is what this process last knew, or nothing gets in."""
        self.num_forfeited = 0
        """Reservations this worker found that nobody had settled in time."""

    @property
    def num_waiting(self) -> int:
        """Settlements that the store has not heard of yet."""
        return len(self._settlements)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(self._pump()), self._loop.create_task(self._keep())]

    async def stop(self) -> None:
        """Send what is queued, if the store is there, and close it."""
        self._ending.set()
        self._wanted.set()
        # Not cancelled in the middle of a call if it can be helped: a client may swallow that.
        _, late = await asyncio.wait(self._tasks, timeout=_STOP_S)
        for task in late:
            task.cancel()
        self._leases.close()
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        with contextlib.suppress(StoreLost):
            await self.flush()
        if self._settlements:
            log.error(
                "the budget store (%s) is away at the end: %d settlements are lost, and charged in full"
                " where it knew of their reservation",
                self.store.name,
                len(self._settlements),
            )
        await self.store.close()

    # The path of a request.

    def check(self, grant: Grant) -> None:
        """Raises Refusal (429, `insufficient_quota`) when an account of the grant is spent."""
        views = grant.views
        if views is None:
            views = self._attach(grant)
        for view in views:
            if view.used >= view.limit and self._now() < view.ends_s:
                raise spent(view)

    async def reserve(self, grant: Grant, usd: float, id: str) -> Reservation | Draw | None:
        """Set `usd` aside on every account of the grant, or on none. None: nobody counts its money.

        Raises Refusal: 429 when an account has no room for it, 503 when the store is away and the policy
        is to refuse. `id` names the request and must be new.
        """
        if not grant.accounts:
            return None
        views = self._attach(grant) if grant.views is None else grant.views
        now_s = self._now()
        for view in views:
            if now_s >= view.ends_s:
                view.turn(now_s)
        amount = nano(usd)
        drawn = self._leases.draw(views, amount, now_s)
        if drawn is not None:
            return drawn
        expires_ms = int(now_s * 1000) + self._life_ms
        rows = tuple([view.row for view in views])
        away = self.degraded or len(self._settlements) >= self._max_queue
        most = amount if away else self._leases.size(views, amount, now_s)
        if most > amount:
            lease = Reservation(id, most, expires_ms + int(LIFE_S * 1000), rows)
            if await self._granted(lease, views):
                if self._sweeper is None:
                    self._sweeper = self._loop.call_later(IDLE_S, self._sweep)
                return self._leases.open(views, lease, amount, now_s)
        reservation = Reservation(id, amount, expires_ms, rows)
        granted = None if away else await self._granted(reservation, views)
        if granted is None:
            return self._reserve_locally(reservation, views)
        if granted:
            return reservation
        raise _refusal(views, amount)

    async def _granted(self, reservation: Reservation, views: tuple[View, ...]) -> bool | None:
        """The store's word; None: it is away."""
        ask = Ask(reservation, tuple([view.limit for view in views]))
        if self._busy or self._asks:
            return await self._decision(ask, views)
        settlements = self._take()
        try:
            verdicts = self.store.apply_now(settlements, (ask,))
        except StoreLost as error:
            self._put_back(settlements)
            self._lost(error)
            return None
        if verdicts is None:
            self._put_back(settlements)
            return await self._decision(ask, views)
        return _heard(views, ask, verdicts[0].standings) and verdicts[0].granted

    def settle(self, reservation: Reservation | Draw | None, usd: float) -> None:
        """Book what a request came to (0: nothing) and give the rest back, once. Only queues."""
        if reservation is None:
            return
        if type(reservation) is Draw:
            self._leases.settle(reservation, nano(usd))
            return
        assert isinstance(reservation, Reservation)
        self._queue(Settlement(reservation, nano(usd)))
        if reservation.local:
            for row in reservation.rows:
                if row in self._local:
                    self._local[row] += nano(usd) - reservation.amount

    async def flush(self) -> None:
        """Send every settlement now. Raises StoreLost."""
        while self._settlements:
            await self._round()

    # What a process knows, and what it sends.

    def _attach(self, grant: Grant) -> tuple[View, ...]:
        views = []
        for account in grant.accounts:
            view = self._views.get(account)
            if view is None:
                view = self._views[account] = View(account, self._now())
            views.append(view)
        grant.views = tuple(views)
        return grant.views

    async def _decision(self, ask: Ask, views: tuple[View, ...]) -> bool | None:
        """The store's word on an ask, by way of the pump; None: the store is away."""
        decided: asyncio.Future[bool] = self._loop.create_future()
        self._asks.append((ask, views, decided))
        self._wanted.set()
        try:
            return await decided
        except StoreLost:
            return None
        except asyncio.CancelledError:
            if decided.done() and not decided.cancelled() and decided.exception() is None:
                self.settle(ask.reservation, 0.0)  # granted, but nobody is there to use it
            raise

    def _queue(self, settlement: Settlement) -> None:
        self._settlements.append(settlement)
        if self._timer is None:
            self._timer = self._loop.call_later(self._flush_s, self._due)

    def _sweep(self) -> None:
        self._leases.sweep(self._now())
        self._sweeper = self._loop.call_later(IDLE_S, self._sweep) if self._leases else None

    def _take(self) -> list[Settlement]:
        queue = self._settlements
        return [queue.popleft() for _ in range(min(_BATCH, len(queue)))] if queue else []

    def _put_back(self, settlements: list[Settlement]) -> None:
        self._settlements.extendleft(reversed(settlements))

    def _due(self) -> None:
        self._timer = None
        self._wanted.set()

    async def _pump(self) -> None:
        """Sends what waits: one transaction at a time, and whatever came meanwhile goes in the next."""
        while not self._ending.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            while (self._settlements or self._asks) and not self.degraded:
                try:
                    await self._round()
                except StoreLost:
                    break
                await asyncio.sleep(0)  # others run between two batches

    async def _round(self) -> None:
        """One transaction. Raises StoreLost; nothing is lost then."""
        async with self._turn:
            await self._transaction()

    async def _transaction(self) -> None:
        settlements = self._take()
        asked = [self._asks.popleft() for _ in range(min(_BATCH, len(self._asks)))]
        asks = [ask for ask, _, _ in asked]
        self._busy = True
        try:
            verdicts = self.store.apply_now(settlements, asks)
            if verdicts is None:
                verdicts = await self.store.apply(settlements, asks)
        except BaseException as error:
            self._put_back(settlements)
            lost = error if isinstance(error, StoreLost) else StoreLost(repr(error))
            for ask, _, decided in asked:
                # It may have been granted before the answer got lost.
                self._settlements.append(Settlement(ask.reservation, 0))
                if not decided.done():
                    decided.set_exception(lost)
            if not isinstance(error, Exception):
                raise
            self._lost(lost)
            raise lost from error
        finally:
            self._busy = False
        for (ask, views, decided), verdict in zip(asked, verdicts, strict=True):
            _heard(views, ask, verdict.standings)
            if not decided.done():
                decided.set_result(verdict.granted)
            elif verdict.granted:
                self._settlements.append(Settlement(ask.reservation, 0))

    async def _keep(self) -> None:
        """Notices credits to spent accounts, forfeits what the dead had reserved, and looks whether a
        store that went away is back."""
        next_expiry = 0.0
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._refresh_s)
                return
            try:
                if self.degraded:
                    await self._catch_up()
                    continue
                await self._refresh([v for v in list(self._views.values()) if v.used >= v.limit])
                if self._now() >= next_expiry:
                    next_expiry = self._now() + _EXPIRE_S
                    self.num_forfeited += await self.store.expire(int(self._now() * 1000))
            except StoreLost as error:
                self._lost(error)
            except Exception as error:  # a fault of ours must not end the watch
                log.exception("looking after the budgets failed")
                self._lost(StoreLost(repr(error)))

    async def _refresh(self, views: list[View]) -> None:
        for view in views:
            view.turn(self._now())
        for start in range(0, len(views), _BATCH):
            batch = views[start : start + _BATCH]
            rows = [view.row for view in batch]
            for view, standing in zip(batch, await self.store.standings(rows), strict=True):
                view.hear(standing)

    # While the store is away.

    async def _catch_up(self) -> None:
        """Send what waited. Raises StoreLost while the store is still away."""
        await self.flush()
        await self._refresh(list(self._views.values()))
        self._local.clear()  # the store knows now
        self.degraded = False
        log.warning("the budget store (%s) is back; all settlements are sent", self.store.name)

    def _reserve_locally(self, reservation: Reservation, views: tuple[View, ...]) -> Reservation:
        """Against the last known remainder, as if this process were the only one."""
        if self._policy == "refuse" or len(self._settlements) >= self._max_queue:
            raise Refusal(
                503,
                "Budgets cannot be checked at the moment.",
                code="budget_unavailable",
                headers=(retry_after(self._refresh_s),),
            )
        for view in views:
            local = self._local.get(view.row, 0)
            if sum(view.standing) + local + reservation.amount > view.limit:
                raise held(views, reservation.amount) if view.used < view.limit else spent(view)
        for row in reservation.rows:
            self._local[row] = self._local.get(row, 0) + reservation.amount
        return Reservation(
            reservation.id, reservation.amount, reservation.expires_ms, reservation.rows, True
        )

    def _lost(self, error: StoreLost) -> None:
        while self._asks:
            decided = self._asks.popleft()[2]
            if not decided.done():
                decided.set_exception(error)
        if not self.degraded:
            self.degraded = True
            log.error(
                "the budget store (%s) is away: %s. Until it is back %s",
                self.store.name,
                error,
                "each worker enforces what it last knew"
                if self._policy == "local"
                else "requests with a budget are refused",
            )


def _heard(views: tuple[View, ...], ask: Ask, standings: tuple[Standing, ...]) -> bool:
    for view, row, standing in zip(views, ask.reservation.rows, standings, strict=True):
        if view.row == row:
            view.hear(standing)
    return True


def _refusal(views: tuple[View, ...], amount: int) -> Refusal:
    for view in views:
        if view.used >= view.limit:
            return spent(view)
    return held(views, amount)
