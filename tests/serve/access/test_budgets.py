"""Budgets as a worker uses them: on every store, over periods, when callers leave, when the store does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from tenfold.errors import ConfigError, StoreError
from tenfold.serve.access.budgets.base import Account, Reservation, Standing, StoreLost, nano
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.embedded import EmbeddedBudgets
from tenfold.serve.access.budgets.memory import MemoryBudgets
from tenfold.serve.access.grant import LOCAL_GRANT, Grant
from tenfold.serve.refusal import Refusal

DAY = 1_764_547_200.0


class Clock:
    def __init__(self, at_s: float = DAY + 3600) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


def grant(usd: float = 1.0, period: str = "total", tenant_usd: float | None = None) -> Grant:
    accounts = [Account("key:app", nano(usd), period)]
    if tenant_usd is not None:
        accounts.append(Account("tenant:acme", nano(tenant_usd), period))
    return Grant("acme", "app", accounts=tuple(accounts))


@contextlib.asynccontextmanager
async def running(store, **settings):
    budgets = Budgets(store, **{"flush_s": 0.002, "refresh_s": 0.02, **settings})
    await budgets.start()
    try:
        yield budgets
    finally:
        await budgets.stop()


async def refused(awaitable) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def asynchronous(test):
    """Runs a test on a loop of its own."""

    def run(**fixtures):
        asyncio.run(asyncio.wait_for(test(**fixtures), 60))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__signature__ = __import__("inspect").signature(test)
    return run


@asynchronous
async def test_reserve_settle_and_the_end_of_the_money(new_store):
    async with running(new_store()) as budgets:
        mine = grant(1.0)
        budgets.check(mine)
        first = await budgets.reserve(mine, 0.6, "a")
        late = await refused(budgets.reserve(mine, 0.5, "b"))
        assert (late.status, late.code) == (429, "insufficient_quota")
        assert b"retry-after" in dict(late.headers)  # what is held may come back
        budgets.settle(first, 0.4)
        budgets.settle(first, 0.4)
        second = await budgets.reserve(mine, 0.6, "b")
        too_much = await refused(budgets.reserve(mine, 0.7, "c"))
        assert b"retry-after" not in dict(too_much.headers)  # it can never fit
        budgets.check(mine)
        budgets.settle(second, 0.6)
        await budgets.flush()
        assert await budgets.store.standings(["key:app@total"]) == [Standing(nano(1.0), 0, 0)]
        spent = await refused(budgets.reserve(mine, 0.000001, "d"))
        assert spent.code == "insufficient_quota"
        with pytest.raises(Refusal):
            budgets.check(mine)


@asynchronous
async def test_several_accounts_or_none(new_store):
    async with running(new_store()) as budgets:
        mine = grant(5.0, tenant_usd=1.0)
        held = await budgets.reserve(mine, 0.8, "a")
        await refused(budgets.reserve(mine, 0.8, "b"))
        rows = ["key:app@total", "tenant:acme@total"]
        assert await budgets.store.standings(rows) == [Standing(0, nano(0.8), 0)] * 2
        budgets.settle(held, 0.0)
        await budgets.flush()
        assert await budgets.store.standings(rows) == [Standing()] * 2


@asynchronous
async def test_who_has_no_budget_costs_nothing_and_is_never_refused():
    async with running(MemoryBudgets()) as budgets:
        budgets.check(LOCAL_GRANT)
        assert await budgets.reserve(LOCAL_GRANT, 1e9, "a") is None
        budgets.settle(None, 5.0)


@pytest.mark.parametrize(("period", "later_s"), [("day", 86_400.0), ("month", 31 * 86_400.0)])
def test_a_new_period_begins_at_nothing_and_old_reservations_stay_in_theirs(
    new_store, period, later_s
):
    asyncio.run(_periods(new_store(), period, later_s))


async def _periods(store, period, later_s):
    clock = Clock()
    async with running(store, now=clock, reservation_s=1e7) as budgets:
        mine = grant(1.0, period)
        open_one = await budgets.reserve(mine, 0.3, "old")
        used = await budgets.reserve(mine, 0.7, "used")
        budgets.settle(used, 0.7)
        budgets.settle(await _never(budgets, mine), 0.0)
        clock.at_s += later_s
        budgets.check(mine)
        fresh = await budgets.reserve(mine, 1.0, "new")
        budgets.settle(open_one, 0.3)
        budgets.settle(fresh, 0.9)
        await budgets.flush()
        before, now = open_one.rows[0], fresh.rows[0]
        assert before != now
        assert await store.standings([before, now]) == [
            Standing(nano(1.0), 0, 0),
            Standing(nano(0.9), 0, 0),
        ]


async def _never(budgets, mine):
    await refused(budgets.reserve(mine, 0.01, "never"))
    return None


@asynchronous
async def test_what_the_dead_reserved_is_forfeited_and_can_be_given_back(new_store):
    clock = Clock()
    store = new_store()
    async with running(store, now=clock, reservation_s=10.0) as budgets:
        mine = grant(1.0)
        await budgets.reserve(mine, 0.25, "dead")  # whoever made it is gone
        slow = await budgets.reserve(mine, 0.75, "slow")
        clock.at_s += 11
        await until(lambda: budgets.num_forfeited == 2)
        assert await store.standings(["key:app@total"]) == [Standing(0, 0, nano(1.0))]
        await refused(budgets.reserve(mine, 0.1, "next"))
        with pytest.raises(Refusal):
            budgets.check(mine)
        budgets.settle(slow, 0.5)  # late, but it came: no longer a guess
        await budgets.flush()
        assert await store.standings(["key:app@total"]) == [Standing(nano(0.5), 0, nano(0.25))]
        assert await store.credit("key:app@total", nano(5.0)) == nano(0.25)
        assert await store.credit("key:app@total", nano(5.0)) == 0
        assert await budgets.reserve(mine, 0.5, "next") is not None


@asynchronous
async def test_a_worker_notices_a_credit_that_another_process_gave():
    clock = Clock()
    store = MemoryBudgets()
    async with running(store, now=clock, reservation_s=10.0) as budgets:
        mine = grant(1.0)
        await budgets.reserve(mine, 1.0, "dead")
        clock.at_s += 11
        await until(lambda: budgets.num_forfeited == 1)
        await refused(budgets.reserve(mine, 0.1, "next"))
        await store.credit("key:app@total", nano(0.5))

        def open_again():
            with contextlib.suppress(Refusal):
                budgets.check(mine)
                return True

        await until(open_again)


class Slow(MemoryBudgets):
    """A store that is somewhere else: it answers when told to, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.away = False
        self.swallows = False
        self.num_asked = 0

    def apply_now(self, settlements, asks):
        return None

    async def apply(self, settlements, asks):
        self.num_asked += len(asks)
        if self.away:
            raise StoreLost("it is away")
        done = await super().apply(settlements, asks)
        if self.swallows:
            raise StoreLost("the answer got lost")
        await self.answers.wait()
        return done

    async def standings(self, rows):
        if self.away:
            raise StoreLost("it is away")
        return await super().standings(rows)

    async def expire(self, now_ms, most=500):
        if self.away:
            raise StoreLost("it is away")
        return await super().expire(now_ms, most)


@asynchronous
async def test_a_caller_that_leaves_while_it_waits_holds_nothing():
    store = Slow()
    async with running(store) as budgets:
        mine = grant(1.0)
        waiting = asyncio.create_task(budgets.reserve(mine, 1.0, "gone"))
        await until(lambda: store.num_asked == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        store.answers.set()
        await until(lambda: store.standing("key:app@total") == Standing())
        assert await budgets.reserve(mine, 1.0, "next") is not None


@asynchronous
async def test_what_comes_while_a_call_is_under_way_goes_in_the_next():
    store = Slow()
    async with running(store) as budgets:
        mine = grant(1.0)
        tasks = [asyncio.create_task(budgets.reserve(mine, 0.3, str(n))) for n in range(6)]
        await asyncio.sleep(0.02)
        store.answers.set()
        made = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, Reservation) for one in made] == [True] * 3 + [False] * 3


@asynchronous
async def test_whoever_waits_when_the_store_is_lost_hears_of_it():
    store = Slow()
    async with running(store) as budgets:
        first = asyncio.create_task(budgets.reserve(grant(1.0), 0.1, "a"))
        await until(lambda: store.num_asked == 1)
        others = [asyncio.create_task(budgets.reserve(grant(1.0), 0.1, id)) for id in "bc"]
        await asyncio.sleep(0)
        store.away = True
        store.answers.set()
        assert not (await first).local
        assert [(await other).local for other in others] == [True, True]
        store.away = False


@asynchronous
async def test_without_the_store_each_worker_goes_by_what_it_last_knew(caplog):
    store = Slow()
    store.answers.set()
    async with running(store) as budgets:
        mine = grant(1.0)
        budgets.settle(await budgets.reserve(mine, 0.4, "a"), 0.4)
        known = await budgets.reserve(mine, 0.1, "b")
        store.away = True
        local = await budgets.reserve(mine, 0.3, "c")
        assert local.local
        assert budgets.degraded
        budgets.settle(local, 0.2)
        assert (await budgets.reserve(mine, 0.3, "d")).local
        await refused(budgets.reserve(mine, 0.01, "e"))  # 0.4 + 0.1 + 0.2 + 0.3 are gone
        budgets.settle(known, 0.1)
        assert budgets.num_waiting > 0
        store.away = False
        await until(lambda: not budgets.degraded)
        assert store.standing("key:app@total") == Standing(nano(0.7), 0, 0)
    assert sum("is away" in record.message for record in caplog.records) == 1
    assert sum("is back;" in record.message for record in caplog.records) == 1


@asynchronous
async def test_an_answer_that_got_lost_is_not_booked_twice():
    """The store did what it was asked, but nobody heard: everything is sent again."""
    store = Slow()
    store.answers.set()
    async with running(store) as budgets:
        mine = grant(1.0)
        before = await budgets.reserve(mine, 0.2, "a")
        store.swallows = True
        budgets.settle(before, 0.2)
        local = await budgets.reserve(mine, 0.3, "b")  # the store has it; we do not know
        assert local.local
        store.swallows = False
        await until(lambda: not budgets.degraded)
        budgets.settle(local, 0.25)
        await budgets.flush()
        budgets.settle(local, 0.25)
        await budgets.flush()
        assert store.standing("key:app@total") == Standing(nano(0.45), 0, 0)


@asynchronous
async def test_where_policy_says_so_nothing_gets_in_without_the_store():
    store = Slow()
    store.away = True
    async with running(store, on_store_loss="refuse") as budgets:
        mine = grant(1.0)
        for id in "ab":
            refusal = await refused(budgets.reserve(mine, 0.1, id))
            assert (refusal.status, refusal.code) == (503, "budget_unavailable")
        store.away = False
        store.answers.set()
        await until(lambda: not budgets.degraded)
        await budgets.reserve(mine, 1.0, "c")


@asynchronous
async def test_settlements_that_wait_are_bounded():
    store = Slow()
    store.answers.set()
    async with running(store, max_queue=3) as budgets:
        mine = grant(1.0)
        made = [await budgets.reserve(mine, 0.1, str(n)) for n in range(3)]
        store.away = True
        for reservation in made:
            budgets.settle(reservation, 0.1)
        refusal = await refused(budgets.reserve(mine, 0.1, "x"))
        assert refusal.status == 503
        store.away = False
        await until(lambda: budgets.num_waiting == 0)


def test_redis_is_killed_and_comes_back_with_everything(redis_server):
    from tenfold.serve.access.budgets.redis import RedisBudgets

    async def main():
        async with running(RedisBudgets(redis_server.url, timeout_s=0.5)) as budgets:
            mine = grant(1.0)
            first = await budgets.reserve(mine, 0.4, "a")
            await asyncio.to_thread(redis_server.kill)
            budgets.settle(first, 0.3)
            local = await budgets.reserve(mine, 0.2, "b")
            assert local.local
            assert budgets.degraded
            budgets.settle(local, 0.1)
            await asyncio.to_thread(redis_server.start)
            await until(lambda: not budgets.degraded)
            assert await budgets.store.standings(["key:app@total"]) == [
                Standing(nano(0.3) + nano(0.1), 0, 0)
            ]

    asyncio.run(main())


def child(code: str, *arguments: object) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


IN_A_TRANSACTION = """
    import sys, time, asyncio
    from pathlib import Path
    from tenfold.serve.access.budgets.base import Standing
    from tenfold.serve.access.budgets.embedded import EmbeddedBudgets

    async def main():
        def half(books):
            books.set_standing("key:app@total", Standing(10**9, 7, 7))
            books.write()
            print("ready", flush=True)
            time.sleep(600)
        await EmbeddedBudgets(Path(sys.argv[1]), megabytes=4)._in_turn(half)
    asyncio.run(main())
"""


def test_a_writer_killed_within_a_transaction_leaves_nothing_behind(tmp_path):
    store = EmbeddedBudgets(tmp_path / "b.lmdb", megabytes=4)
    writer = child(IN_A_TRANSACTION, tmp_path / "b.lmdb")

    async def main():
        async with running(store) as budgets:
            assert store.apply_now((), ()) is None  # it is the writer's turn
            asked = asyncio.create_task(budgets.reserve(grant(1.0), 0.5, "a"))
            await asyncio.sleep(0.05)
            assert not asked.done()  # waiting, while the loop goes on
            writer.kill()
            writer.wait()
            reservation = await asked
            assert not reservation.local
            assert await store.standings(["key:app@total"]) == [Standing(0, nano(0.5), 0)]

    try:
        asyncio.run(main())
    finally:
        writer.kill()
        writer.communicate()


def test_a_writer_that_is_stopped_stops_no_event_loop(tmp_path):
    store = EmbeddedBudgets(tmp_path / "b.lmdb", megabytes=4, patience_s=0.2)
    writer = child(IN_A_TRANSACTION, tmp_path / "b.lmdb")
    os.kill(writer.pid, signal.SIGSTOP)

    async def main():
        async with running(store) as budgets:
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.005)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            reservation = await budgets.reserve(grant(1.0), 0.5, "a")
            ticking.cancel()
            assert reservation.local
            assert budgets.degraded
            assert ticks >= 5
            writer.kill()
            budgets.settle(reservation, 0.5)
            await until(lambda: not budgets.degraded)
            assert await store.standings(["key:app@total"]) == [Standing(nano(0.5), 0, 0)]

    try:
        asyncio.run(main())
    finally:
        writer.kill()
        writer.communicate()


def test_a_disk_without_room_is_refused_at_the_start_not_met_in_the_middle(small_disk, tmp_path):
    with pytest.raises(StoreError, match="room"):
        EmbeddedBudgets(small_disk / "b.lmdb", megabytes=64)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        EmbeddedBudgets(tmp_path / "file" / "b.lmdb")


def test_a_full_file_is_a_lost_store_and_harms_nothing(tmp_path):
    store = EmbeddedBudgets(tmp_path / "b.lmdb", megabytes=1)

    async def main():
        async with running(store, refresh_s=60.0) as budgets:
            mine = grant(1.0)
            made = []
            while not budgets.degraded:
                made.append(await budgets.reserve(mine, 0.0, f"{len(made):0200d}"))
            assert len(made) >= 500
            assert made[-1].local
            stored = [r for r in made if not r.local]
            for reservation in stored[:-5]:
                budgets.settle(reservation, 0.0001)
            await budgets.flush()
            [standing] = await store.standings(["key:app@total"])
            assert standing == Standing(nano(0.0001) * (len(stored) - 5), 0, 0)

    asyncio.run(main())


@pytest.mark.parametrize(
    "wrong", [{"on_store_loss": "hope"}, {"flush_s": 0}, {"reservation_s": -1}, {"max_queue": 0}]
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(ConfigError):
        Budgets(MemoryBudgets(), **wrong)
