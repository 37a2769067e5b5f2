"""How far a budget is overshot by four workers that are killed while they spend it, and whether the books
agree with the workers' own notes afterwards.

Each worker is a process with `Budgets` on the shared store, eight requests under way at any time, each of a
random size. It notes every step of every request in a file of its own before or after taking it, and now
and then is killed without warning. `spend` returns what the notes say and what the store says. With leases
(`lease_share` above 0) requests draw on larger reservations, and what dies with a worker is charged in full.

As a script, `gateway_budget.py STORE PLACE NOTES SEED LEASE_SHARE` is such a worker.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis_server import RedisServer
from tenfold.serve.access.budgets.base import (
    Account,
    BudgetStore,
    Reservation,
    Settlement,
    Standing,
    nano,
)
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.lease import Draw
from tenfold.serve.access.grant import Grant
from tenfold.serve.refusal import Refusal

NUM_WORKERS = 4
CONCURRENCY = 8
SHARED_USD = 2.0
"""What all workers may spend together."""
TENANT_USD = 1.5
"""What they may by a second account, which runs out first: reservations are on both or on none."""
LARGEST_USD = 0.004
_LIFE_MS = 1_000_000
"""Longer than a reservation lives, shorter than a forfeited one is remembered."""
_LONGEST_S = 60.0
_ROWS = ("account:shared@total", "tenant:acme@total")


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of it, in 1e-9 USD."""

    limit: int
    """Of the account that runs out first."""
    largest: int
    """Of all reservations."""
    settled: int
    """Sum of the settlements the workers' notes tell of."""
    abandoned: int
    """Sum of the reservations they were told they have, and were killed with."""
    reserved_at_most: int
    """The highest sum of spent, reserved and forfeited the store told in the meantime."""
    standings: tuple[Standing, ...]
    """The store's last word on both accounts."""
    num_settled: int
    num_abandoned: int
    num_kills: int

    @property
    def overshoot_reservations(self) -> float:
        """By how much of the largest reservation the limit was overshot: by the notes, or in between by
        the store's word, whichever is worse. 0: not at all."""
        worst = max(self.settled + self.abandoned, self.reserved_at_most)
        return max(0, worst - self.limit) / self.largest


def open_store(store: str, place: str) -> BudgetStore:
    """`embedded` and a folder, or `redis` and a URL."""
    if store == "redis":
        from tenfold.serve.access.budgets.redis import RedisBudgets

        return RedisBudgets(place)
    from tenfold.serve.access.budgets.embedded import EmbeddedBudgets

    return EmbeddedBudgets(Path(place) / "budgets.lmdb")


def spend(
    store: str, place: str, notes: Path, *, kills: int, seed: int, lease_share: float = 0.0
) -> Spent:
    """Let the workers at it until nothing is left, kill one `kills` times on the way, settle what the dead
    left behind."""
    return asyncio.run(_spend(store, place, notes, kills, seed, lease_share))


async def _spend(
    store: str, place: str, notes: Path, kills: int, seed: int, lease_share: float
) -> Spent:
    draw = random.Random(seed)
    books = open_store(store, place)
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    workers = [_start(store, place, notes, next(seeds), lease_share) for _ in range(NUM_WORKERS)]
    limit = nano(TENANT_USD)
    most = num_kills = 0
    try:
        deadline = time.monotonic() + _LONGEST_S
        while most < limit - nano(LARGEST_USD) and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
            [standing] = await books.standings(_ROWS[1:])
            most = max(most, sum(standing))
            if most * (kills + 1) >= limit * (num_kills + 1):
                victim = draw.randrange(NUM_WORKERS)
                workers[victim].send_signal(signal.SIGKILL)
                workers[victim].wait()
                num_kills += 1
                workers[victim] = _start(store, place, notes, next(seeds), lease_share)
        for _ in range(50):  # everybody goes on asking for what is not there
            await asyncio.sleep(0.005)
            [standing] = await books.standings(_ROWS[1:])
            most = max(most, sum(standing))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    asked, granted, settled = _read(notes)
    amounts = {id: asked[id].amount if held is None else held for id, held in granted.items()}
    first: list[Settlement] = []
    later: list[Settlement] = []
    if not lease_share:  # who draws on a lease has no reservation of its own to settle
        # What was asked for and not answered may have been granted: give it back.
        unknown = [Settlement(r, 0) for id, r in asked.items() if id not in granted]
        left = [Settlement(asked[id], amount) for id, amount in settled.items()]
        # Half of the settlements are repeated before the dead are declared dead, the rest afterwards: they
        # may have arrived, or not, or be late. All of them twice.
        half = len(left) // 2
        first, later = unknown + left[:half] * 2, left[half:] + left
    for batch in _batches(first):
        await books.apply(batch, ())
    while await books.expire(int(time.time() * 1000) + _LIFE_MS):
        pass
    for batch in _batches(later):
        await books.apply(batch, ())
    standings = tuple(await books.standings(_ROWS))
    await books.close()
    abandoned = [amount for id, amount in amounts.items() if id not in settled]
    return Spent(
        limit=limit,
        largest=max(amounts.values()),
        settled=sum(settled.values()),
        abandoned=sum(abandoned),
        reserved_at_most=most,
        standings=standings,
        num_settled=len(settled),
        num_abandoned=len(abandoned),
        num_kills=num_kills,
    )


def _batches(settlements: list[Settlement]) -> Iterator[list[Settlement]]:
    for start in range(0, len(settlements), 200):
        yield settlements[start : start + 200]


def _start(
    store: str, place: str, notes: Path, seed: int, lease_share: float
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            __file__,
            store,
            place,
            str(notes / f"{seed}.log"),
            str(seed),
            str(lease_share),
        ]
    )


def _read(notes: Path) -> tuple[dict[str, Reservation], dict[str, int | None], dict[str, int]]:
    """Asked for, granted (with what was drawn on a lease), settled, over all workers. A line cut short by a
    kill was never written."""
    asked: dict[str, Reservation] = {}
    granted: dict[str, int | None] = {}
    settled: dict[str, int] = {}
    for file in notes.glob("*.log"):
        for line in file.read_text().splitlines():
            kind, id, *rest = line.split()
            if kind == "asked":
                asked[id] = Reservation(id, int(rest[0]), int(rest[1]), _ROWS)
            elif kind == "granted":
                granted[id] = int(rest[0]) if rest else None
            else:
                settled[id] = int(rest[0])
    return asked, granted, settled


class _Noting:
    """A store that notes what is asked of it, just before it is."""

    def __init__(self, store: BudgetStore, log: int) -> None:
        self._store = store
        self._log = log
        self.name = store.name
        self.standings, self.expire, self.credit = store.standings, store.expire, store.credit
        self.close = store.close

    def _note(self, asks) -> None:
        for r, _ in asks:
            os.write(self._log, f"asked {r.id} {r.amount} {r.expires_ms}\n".encode())

    def apply_now(self, settlements, asks):
        self._note(asks)
        return self._store.apply_now(settlements, asks)

    async def apply(self, settlements, asks):
        self._note(asks)
        return await self._store.apply(settlements, asks)


async def _work(store: str, place: str, log: int, seed: int, lease_share: float) -> None:
    draw = random.Random(seed)
    budgets = Budgets(
        _Noting(open_store(store, place), log),
        on_store_loss="refuse",
        flush_s=0.005,
        lease_share=lease_share,
    )
    await budgets.start()
    accounts = (
        Account("account:shared", nano(SHARED_USD)),
        Account("tenant:acme", nano(TENANT_USD)),
    )
    grant = Grant("acme", "app", accounts=accounts)

    async def requests(lane: int) -> None:
        for number in range(1_000_000):
            id = f"chatcmpl-{seed}-{lane}-{number}"
            try:
                reservation = await budgets.reserve(grant, draw.uniform(0.0, LARGEST_USD), id)
            except Refusal:
                await asyncio.sleep(0.01)
                continue
            assert reservation is not None
            drawn = f" {reservation.amount}" if isinstance(reservation, Draw) else ""
            os.write(log, f"granted {id}{drawn}\n".encode())
            await asyncio.sleep(draw.uniform(0.0, 0.02))
            amount = round(reservation.amount * draw.choice((0.0, draw.random(), 1.0)))
            os.write(log, f"settled {id} {amount}\n".encode())
            for _ in range(draw.choice((1, 1, 2))):  # twice is once
                budgets.settle(reservation, amount / 1e9)

    await asyncio.gather(*(requests(lane) for lane in range(CONCURRENCY)))


@contextmanager
def places(store: str) -> Iterator[tuple[str, Path]]:
    """A fresh place for a store, and a folder for notes."""
    folder = Path(tempfile.mkdtemp(prefix="tf-", dir="/tmp"))
    server = RedisServer(folder) if store == "redis" else None
    (folder / "notes").mkdir()
    try:
        if server is not None:
            server.start()
        yield (str(folder) if server is None else server.url), folder / "notes"
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def budget_overshoot_reservations(
    store: str, *, kills: int = 20, seed: int = 3, lease_share: float = 0.0
) -> Spent:
    """One measurement on a fresh `embedded` or `redis` store; see `Spent.overshoot_reservations`. Raises
    RuntimeError when the store's books are not what the workers' notes add up to."""
    with places(store) as (place, notes):
        spent = spend(store, place, notes, kills=kills, seed=seed, lease_share=lease_share)
    check(spent, leased=lease_share > 0)
    return spent


def check(spent: Spent, *, leased: bool) -> None:
    """Raises RuntimeError when the store's figures are not the sum of what was acknowledged; with leases,
    when something was given away or more was booked as spent than the workers settled."""
    expected = Standing(spent.settled, 0, spent.abandoned)
    for standing in spent.standings:
        if leased:
            charged = spent.settled + spent.abandoned
            right = standing.spent <= spent.settled and standing.used >= charged
            if standing.reserved == 0 and right and standing.used <= spent.limit:
                continue
        if standing != expected:
            raise RuntimeError(f"the books say {standing}, the workers' notes {expected}: {spent}")


if __name__ == "__main__":
    noted = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    asyncio.run(_work(sys.argv[1], sys.argv[2], noted, int(sys.argv[4]), float(sys.argv[5])))
