from __future__ import annotations

import asyncio
import random

import pytest

from tenfold.serve.refusal import Refusal
from tenfold.serve.router.ask import RouteAsk

from .scripted import Clock, Scripted, Spoken, attempt, routing, said


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def in_line(router, *asks: RouteAsk) -> list[asyncio.Task]:
    """Requests that wait, in this order."""
    tasks = []
    for ask in asks:
        tasks.append(asyncio.create_task(router.open(ask, attempt)))
        await turns()
    return tasks


async def served(tasks: list[asyncio.Task], first) -> list[int]:
    """End the one answer under way, again and again; the order in which the tasks got theirs."""
    order: list[int] = []
    first.close()
    while len(order) < len(tasks):
        await turns()
        (index,) = [n for n, task in enumerate(tasks) if task.done() and n not in order]
        order.append(index)
        tasks[index].result().close()
    return order


async def test_first_come_first_served_and_newcomers_do_not_jump_the_line():
    async with routing(Scripted("a"), max_outstanding=1) as router:
        first = await router.open(RouteAsk("m"), attempt)
        tasks = await in_line(router, *[RouteAsk("m") for _ in range(4)])
        first.close()  # room is handed to the first in line at once ..
        late = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        await turns()
        assert [task.done() for task in [*tasks, late]] == [True, False, False, False, False]
        assert await served([*tasks[1:], late], tasks[0].result()) == [0, 1, 2, 3]


async def test_a_small_request_does_not_pass_a_large_one_that_was_here_before():
    async with routing(Scripted("a"), max_outstanding=2) as router:
        first, second = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        large, small = await in_line(router, RouteAsk("m", slots=2), RouteAsk("m"))
        first.close()
        (late,) = await in_line(router, RouteAsk("m"))  # there is room for it, but not its turn
        assert not large.done()
        assert not small.done()
        assert not late.done()
        second.close()
        (await large).close()
        (await small).close()
        (await late).close()


async def test_higher_priority_first_and_tenants_take_turns():
    async with routing(Scripted("a"), max_outstanding=1) as router:
        first = await router.open(RouteAsk("m"), attempt)
        asks = [
            *[RouteAsk("m", tenant="loud") for _ in range(4)],  # 0 to 3
            *[RouteAsk("m", tenant="quiet") for _ in range(2)],  # 4, 5
            RouteAsk("m", tenant="loud", priority=1),  # 6
        ]
        assert await served(await in_line(router, *asks), first) == [6, 0, 4, 1, 5, 2, 3]


async def test_a_full_line_refuses_with_the_wait_by_littles_law():
    clock = Clock()
    async with routing(
        Scripted("a"), Scripted("b"), now=clock, max_outstanding=2, max_waiting=10
    ) as router:
        for _ in range(30):
            routed = await router.open(RouteAsk("m"), attempt)
            clock.now += 8  # how long an answer takes here
            await said(routed)
        under_way = [await router.open(RouteAsk("m"), attempt) for _ in range(4)]
        tasks = await in_line(router, *[RouteAsk("m") for _ in range(10)])
        with pytest.raises(Refusal) as told:
            await router.open(RouteAsk("m"), attempt)
        assert (told.value.status, told.value.code) == (429, "queue_full")
        # Eleven in line, eight seconds each, four at once.
        assert told.value.headers == ((b"retry-after", b"22"),)
        for routed in under_way:
            routed.close()
        for task in tasks:
            (await task).close()


async def test_nobody_waits_where_waiting_is_off_or_beyond_the_deadline():
    async with routing(Scripted("a"), max_outstanding=1, max_waiting=0) as router:
        first = await router.open(RouteAsk("m"), attempt)
        with pytest.raises(Refusal):
            await router.open(RouteAsk("m"), attempt)
        first.close()
    async with routing(Scripted("a"), max_outstanding=1) as router:
        first = await router.open(RouteAsk("m"), attempt)
        now = asyncio.get_running_loop().time()
        with pytest.raises(Refusal) as told:
            await router.open(RouteAsk("m", deadline=now + 0.02), attempt)
        assert told.value.status == 429
        first.close()
        (await router.open(RouteAsk("m"), attempt)).close()


async def test_room_handed_to_one_who_leaves_in_that_moment_goes_to_the_next():
    async with routing(Scripted("a"), max_outstanding=1) as router:
        first = await router.open(RouteAsk("m"), attempt)
        one, two, three = await in_line(router, *[RouteAsk("m") for _ in range(3)])
        first.close()
        one.cancel()  # it has the room already but does not know
        two.cancel()  # it is still in line
        (await three).close()
        assert one.cancelled()
        assert two.cancelled()


async def test_a_large_request_fits_when_the_member_is_idle():
    async with routing(Scripted("a"), max_outstanding=4) as router:
        first = await router.open(RouteAsk("m", slots=2), attempt)
        (large,) = await in_line(router, RouteAsk("m", slots=9))
        assert not large.done()
        first.close()
        (await large).close()


async def test_those_in_line_move_on_when_members_come_and_are_told_when_they_go():
    async with routing(Scripted("a"), max_outstanding=1) as router:
        first = await router.open(RouteAsk("m"), attempt)
        (waiting,) = await in_line(router, RouteAsk("m"))
        router.fleet.reconfigure([router.fleet.members[0].backend, Scripted("b")])
        (await waiting).close()
        assert (await waiting).member.name == "b"
        second = await router.open(RouteAsk("m"), attempt)
        (waiting,) = await in_line(router, RouteAsk("m"))
        router.fleet.reconfigure([Scripted("c", models=("other",))])
        with pytest.raises(Refusal):
            await waiting
        first.close()
        second.close()


@pytest.mark.parametrize("seed", range(5))
async def test_no_room_is_lost_whatever_happens(seed):
    """Random requests that end, fail, are closed early or cancelled while they wait, begin or speak."""
    draw = random.Random(seed)
    gates: list[asyncio.Event] = []

    async def behave():
        if draw.random() < 0.3:
            gate = asyncio.Event()
            gates.append(gate)
            await gate.wait()
        if draw.random() < 0.2:
            raise ValueError
        return Spoken(b"x", b"y")

    peak = 0
    async with routing(*[Scripted(n, behave) for n in "ab"], max_outstanding=3) as router:

        async def client():
            nonlocal peak
            ask = RouteAsk("m", slots=draw.choice([1, 1, 2]), tenant=draw.choice("xyz"), tokens=3)
            routed = await router.open(ask, attempt)
            try:
                peak = max(peak, *[member.outstanding for member in router.fleet.members])
                await turns(draw.randrange(4))
                if draw.random() < 0.5:
                    await said(routed)
            finally:
                routed.close()

        tasks = []
        for _ in range(300):
            tasks.append(asyncio.create_task(client()))
            await turns(draw.randrange(3))
            if draw.random() < 0.3:
                draw.choice(tasks).cancel()
            if gates and draw.random() < 0.5:
                gates.pop(draw.randrange(len(gates))).set()
        while not all(task.done() for task in tasks):
            while gates:
                gates.pop().set()
            await turns()
        ends = {type(task.exception()) for task in tasks if not task.cancelled()}
        assert ends == {type(None), ValueError}
        assert peak == 3
