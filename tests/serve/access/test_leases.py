"""Leases: requests that come close together draw on one reservation, and the books come out the same."""

from __future__ import annotations

import asyncio
import random

import pytest

from tenfold.serve.access.budgets.base import Account, nano
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.embedded import EmbeddedBudgets
from tenfold.serve.access.budgets.lease import _AT_ONCE, Draw
from tenfold.serve.access.grant import Grant
from tenfold.serve.refusal import Refusal


def asynchronous(test):
    """Runs a test on a loop of its own."""

    def run(store):
        asyncio.run(asyncio.wait_for(test(store), 60))

    run.__name__ = test.__name__
    return run


ROWS = ("key:app@total", "tenant:acme@total")


class Counted:
    """The real store, and how often it was asked."""

    def __init__(self, store):
        self._store = store
        self.name = store.name
        self.num_asks = 0
        self.standings, self.expire, self.close = store.standings, store.expire, store.close

    def apply_now(self, settlements, asks):
        self.num_asks += len(asks)
        return self._store.apply_now(settlements, asks)

    async def apply(self, settlements, asks):
        self.num_asks += len(asks)
        return await self._store.apply(settlements, asks)


def grant(key_usd=100.0, tenant_usd=50.0, period="total"):
    accounts = (
        Account("key:app", nano(key_usd), period),
        Account("tenant:acme", nano(tenant_usd), period),
    )
    return Grant("acme", "app", accounts=accounts)


@pytest.fixture
def store(tmp_path):
    return Counted(EmbeddedBudgets(tmp_path / "budgets.lmdb", megabytes=8))


async def settled(store, rows=ROWS):
    """The standings once nothing is set aside any more."""
    async with asyncio.timeout(10):
        while True:
            standings = await store.standings(rows)
            if not any(standing.reserved for standing in standings):
                return standings
            await asyncio.sleep(0.02)


@asynchronous
async def test_many_requests_ask_the_store_a_few_times_and_every_billionth_is_booked(store):
    budgets = Budgets(store)
    await budgets.start()
    who, draw, total = grant(), random.Random(5), 0

    async def lane(number):
        nonlocal total
        for turn in range(100):
            reservation = await budgets.reserve(who, draw.uniform(0.0, 0.002), f"{number}-{turn}")
            if turn % 7 == 0:
                await asyncio.sleep(0.001)
            amount = round(reservation.amount * draw.choice((0.0, draw.random(), 1.0, 3.0)))
            total += amount
            budgets.settle(reservation, amount / 1e9)
            budgets.settle(reservation, amount / 1e9)  # twice is once

    await asyncio.gather(*map(lane, range(16)))
    for standing in await settled(store):
        assert standing.spent == total
        assert standing.forfeited == 0
    assert store.num_asks < 400  # of 1,600
    await budgets.stop()


@asynchronous
async def test_where_little_is_left_each_request_asks_for_itself(store):
    budgets = Budgets(store)
    await budgets.start()
    who = grant(tenant_usd=0.1)
    got = []

    async def take_all():
        for number in range(200):
            got.append(await budgets.reserve(who, 0.001, f"r{number}"))

    with pytest.raises(Refusal):
        await take_all()
    assert len(got) == 100  # not one less: nothing is left lying in a lease
    await budgets.stop()


@asynchronous
async def test_long_answers_hold_few_leases_and_only_what_they_drew_in_the_end(store):
    budgets = Budgets(store)
    await budgets.start()
    who = grant()
    long = [await budgets.reserve(who, 0.001, f"long{number}") for number in range(3000)]
    leases = {id(one.lease) for one in long if isinstance(one, Draw)}
    assert (
        1 < len(leases) <= _AT_ONCE
    )  # then each asks for itself: what it leaves goes back at once
    for one in long:
        budgets.settle(one, 0.0)
    assert all(standing.spent == 0 for standing in await settled(store))
    await budgets.stop()


@asynchronous
async def test_a_new_period_draws_on_no_lease_of_the_old_one(store):
    at = [1_764_547_200.0 + 86400 - 1]
    budgets = Budgets(store, now=lambda: at[0])
    await budgets.start()
    who = grant(period="day")
    old = [await budgets.reserve(who, 0.001, f"old{number}") for number in range(50)]
    assert any(isinstance(one, Draw) for one in old)
    at[0] += 2
    new = await budgets.reserve(who, 0.001, "new")
    for one in old:
        budgets.settle(one, 0.001)
    budgets.settle(new, 0.002)
    await budgets.stop()
    again = EmbeddedBudgets(store._store.path, megabytes=8)
    days = await again.standings(["key:app@2025-12-01", "key:app@2025-12-02"])
    assert [(day.spent, day.reserved) for day in days] == [(nano(0.05), 0), (nano(0.002), 0)]
    await again.close()


@asynchronous
async def test_what_is_drawn_at_the_end_is_charged(store):
    budgets = Budgets(store)
    await budgets.start()
    who = grant()
    drawn = [await budgets.reserve(who, 0.001, f"r{number}") for number in range(20)]
    for one in drawn[:10]:
        budgets.settle(one, 0.0005)
    await budgets.stop()
    again = EmbeddedBudgets(store._store.path, megabytes=8)
    await again.expire(2**52)
    for standing in await again.standings(ROWS):
        assert standing.used == nano(0.005 + 0.010)
    await again.close()
