from __future__ import annotations

import asyncio

import pytest

from tenfold.serve.backends.base import Unreachable
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.config import MemberConfig

from .scripted import Clock, Scripted, Spoken, attempt, routing, said

HEDGED = {"hedge_share": 0.5, "backoff_s": 0, "max_attempts": 1}


async def learnt(router, count: int = 30) -> None:
    """Enough answers, all quick, to know what is slow."""
    for _ in range(count):
        await said(await router.open(RouteAsk("m"), attempt))


class Slow:
    """Quick until told otherwise; then silent until `gate` opens. Tells how its attempts ended."""

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.ends: list[str] = []
        self.answers: list[Spoken] = []
        self.error: Exception | None = None

    async def __call__(self):
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.ends.append("cancelled")
                raise
            if self.error is not None:
                raise self.error
        self.answers.append(Spoken(b"slow"))
        return self.answers[-1]


async def test_the_quick_one_wins_and_the_loser_is_cancelled():
    slow = Slow()
    a, b = Scripted("a", slow), Scripted("b")
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        slow.gate = asyncio.Event()
        routed = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        assert [await said(each) for each in routed] == [b"b", b"b"]
        assert sorted(each.hedged for each in routed) == [False, True]
        await asyncio.sleep(0)
        assert slow.ends == ["cancelled"]
        first, second = router.fleet.members
        assert (second.num_hedges, second.num_hedges_won, first.num_hedges) == (1, 1, 0)
        assert first.num_failures == 0
        assert first.latency_s >= routed[0].first_part_s


async def test_the_first_may_still_win_and_the_second_is_cancelled():
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        slow.gate, other.gate = asyncio.Event(), asyncio.Event()
        before = a.opened, b.opened
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        while (a.opened, b.opened) != (before[0] + 1, before[1] + 1):
            await asyncio.sleep(0.001)
        winner = slow if sum(m.num_hedges for m in router.fleet.members[1:]) else other
        loser = other if winner is slow else slow
        winner.gate.set()
        routed = await task
        assert await said(routed) == b"slow"
        await asyncio.sleep(0)
        assert loser.ends == ["cancelled"]
        assert sum(member.num_hedges_won for member in router.fleet.members) == 0


async def test_a_loser_that_opened_in_the_same_moment_is_closed():
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        slow.gate = other.gate = asyncio.Event()
        before = a.opened, b.opened
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        while (a.opened, b.opened) != (before[0] + 1, before[1] + 1):
            await asyncio.sleep(0.001)
        slow.gate.set()
        routed = await task
        await asyncio.sleep(0)
        assert sorted(answers[-1].closed for answers in (slow.answers, other.answers)) == [
            False,
            True,
        ]
        assert router.fleet.outstanding == 1
        await said(routed)


async def test_a_caller_that_leaves_ends_both():
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        slow.gate, other.gate = asyncio.Event(), asyncio.Event()
        before = a.opened + b.opened
        for attempts in (1, 2):  # leaves before, and while, the second runs
            task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
            while a.opened + b.opened < before + attempts:
                await asyncio.sleep(0)
            before += attempts
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert router.fleet.outstanding == 0
        assert len(slow.ends) + len(other.ends) == 3


async def test_when_both_fail_the_error_is_that_of_the_last():
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        for each, name in ((slow, "slow"), (other, "other")):
            each.gate, each.error = asyncio.Event(), Unreachable(f"{name} refused")
        before = a.opened + b.opened
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        while a.opened + b.opened < before + 2:
            await asyncio.sleep(0.001)
        slow.gate.set()
        while not router.fleet.members[0].num_failures:
            await asyncio.sleep(0)
        for _ in range(5):  # so that it is seen to have ended before the other
            await asyncio.sleep(0)
        assert not task.done()
        other.gate.set()
        with pytest.raises(Unreachable, match="other refused"):
            await task


async def test_one_that_fails_does_not_end_the_race():
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, **HEDGED) as router:
        await learnt(router)
        slow.gate, other.gate = asyncio.Event(), asyncio.Event()
        slow.error = Unreachable("refused")
        before = a.opened + b.opened
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        while a.opened + b.opened < before + 2:
            await asyncio.sleep(0.001)
        slow.gate.set()
        while not router.fleet.members[0].num_failures:
            await asyncio.sleep(0)
        other.gate.set()
        assert await said(await task) == b"slow"


@pytest.mark.parametrize("allowed", [False, True])
async def test_requests_with_side_effects_are_hedged_only_when_allowed(allowed):
    gate = asyncio.Event()
    slow, other = Slow(), Slow()
    a, b = Scripted("a", slow), Scripted("b", other)
    async with routing(a, b, hedge_side_effects=allowed, **HEDGED) as router:
        await learnt(router)
        slow.gate = other.gate = gate
        before = a.opened + b.opened
        task = asyncio.create_task(router.open(RouteAsk("m", side_effects=True), attempt))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert a.opened + b.opened == before + 1 + allowed
        gate.set()
        await said(await task)


async def test_a_second_attempt_never_goes_to_the_same_member():
    slow = Slow()
    a, b = Scripted("a", slow), Scripted("b")
    members = {"b": MemberConfig(max_outstanding=1)}
    async with routing(a, b, members=members, **HEDGED) as router:
        await learnt(router)
        held = [await router.open(RouteAsk("m"), attempt) for _ in range(3)]
        assert router.fleet.members[1].outstanding == 1
        slow.gate = asyncio.Event()
        before = a.opened
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert a.opened == before + 1
        slow.gate.set()
        for each in [*held, await task]:
            each.close()


async def test_second_attempts_stay_within_their_share():
    """Every request is slow: without a bound every one of them would be sent twice."""
    clock = Clock()

    async def behave():
        await asyncio.sleep(0.002)
        return Spoken(b"x")

    backends = [Scripted(name, behave) for name in "ab"]
    async with routing(*backends, now=clock, hedge_share=0.1) as router:
        # By the frozen clock every first part takes no time, so every attempt looks slow.
        await learnt(router, 200)
        hedges = sum(member.num_hedges for member in router.fleet.members)
        assert 10 <= hedges <= 20
        assert sum(backend.opened for backend in backends) == 200 + hedges
        await asyncio.sleep(0)
