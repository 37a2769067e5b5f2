"""Single flight in one process: one answer for all, handed over when its leader goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import BackendError, InputError
from tenfold.serve.cache.flight import Flight, Lost, Vacant
from tenfold.serve.cache.flights import Flights

KEY = b"k" * 32


class Model:
    """Counts generations; each gives the same parts, at the pace it is told."""

    def __init__(self, parts=(b"a", b"b", b"c"), failing=0, error=None):
        self.parts, self.failing, self.error = parts, failing, error
        self.begun = self.cancelled = 0
        self.go = asyncio.Event()

    async def generate(self) -> AsyncIterator[bytes]:
        self.begun += 1
        try:
            await self.go.wait()
            if self.begun <= self.failing:
                raise self.error
            for part in self.parts:
                yield part
                await asyncio.sleep(0)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


async def ask(flights: Flights, model: Model, got: list[bytes] | None = None) -> bytes:
    """A request, as the gateway goes about it."""
    got = [] if got is None else got
    vacant = None
    while True:
        flight, leads = flights.join(KEY, vacant)
        if leads:
            with flight:
                flight.begin(True, b"head")
                async for part in model.generate():
                    flight.publish(part)
                    got.append(part)
                flight.end("outcome")
            return b"".join(got)
        follower = flight.follow()
        try:
            await follower.begun()
            async for part in follower:
                got.append(part)
        except Vacant as met:
            vacant = met
            continue
        finally:
            follower.close()
        assert follower.outcome == "outcome"
        return b"".join(got)


async def test_a_thousand_equal_requests_make_one_generation():
    flights, model = Flights(), Model()
    asking = [asyncio.create_task(ask(flights, model)) for _ in range(1000)]
    await asyncio.sleep(0)
    model.go.set()
    assert set(await asyncio.gather(*asking)) == {b"abc"}
    assert model.begun == 1
    assert flights.num_flights == 0
    assert (flights.num_led, flights.num_followed) == (1, 999)


async def test_who_comes_late_gets_every_part_from_the_first_and_then_as_they_come():
    flight = Flights().lead(KEY)
    flight.begin(True, b"head")
    flight.publish(b"one")
    flight.publish(b"two")
    follower = flight.follow()
    await follower.begun()
    assert (follower.stream, flight.head) == (True, b"head")
    assert await anext(follower) == b"onetwo"
    waiting = asyncio.create_task(anext(follower))
    await asyncio.sleep(0)
    assert not waiting.done()
    flight.publish(b"three")
    assert await waiting == b"three"
    flight.end()
    with pytest.raises(StopAsyncIteration):
        await anext(follower)


@given(
    st.lists(st.sampled_from(["publish", "join", "read", "leave"]), max_size=60),
    st.randoms(use_true_random=False),
)
def test_every_reader_gets_every_part_once_in_order(steps, dice):
    async def go():
        flight = Flight(KEY, 1 << 20, lambda landed: None)
        published = []
        readers = []
        for step in steps:
            if step == "publish":
                published.append(b"%d," % len(published))
                flight.publish(published[-1])
            elif step == "join":
                readers.append((flight.follow(), []))
            elif readers:
                follower, got = dice.choice(readers)
                if step == "leave":
                    follower.close()
                    readers.remove((follower, got))
                elif b"".join(got) != b"".join(published):
                    got.append(await anext(follower))
        flight.end()
        for follower, got in readers:
            got += [part async for part in follower]
            assert b"".join(got) == b"".join(published)
        assert flight.num_followers == 0

    asyncio.run(go())


async def test_when_the_leading_client_leaves_its_work_goes_on_for_the_others():
    flights, model = Flights(), Model()
    flight, leads = flights.join(KEY)
    assert leads
    work = model.generate()

    async def rest():
        async for part in work:
            flight.publish(part)
        flight.end("outcome")

    with flight:
        followers = [asyncio.create_task(ask(flights, model)) for _ in range(5)]
        await asyncio.sleep(0)
        assert flight.adopt(rest())
    model.go.set()
    assert await asyncio.gather(*followers) == [b"abc"] * 5
    assert model.begun == 1


async def test_when_the_last_client_leaves_the_work_is_cancelled():
    flights, model = Flights(), Model()
    flight, _ = flights.join(KEY)

    async def rest():
        async for part in model.generate():
            flight.publish(part)

    follower = asyncio.create_task(ask(flights, model))
    await asyncio.sleep(0)
    with flight:
        assert flight.adopt(rest())
    await asyncio.sleep(0)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert (model.begun, model.cancelled) == (1, 1)
    assert flights.num_flights == 0


async def test_nobody_to_carry_on_for():
    flight, _ = Flights().join(KEY)

    async def rest():
        raise AssertionError("there is nobody")

    with flight:
        assert not flight.adopt(rest())
    assert flight.done


async def test_a_leader_that_is_cancelled_is_followed_by_the_next():
    flights, model = Flights(), Model()
    asking = [asyncio.create_task(ask(flights, model)) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    model.go.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [b"abc"] * 9
    assert model.begun == 2


async def ten_at_once(flights, model):
    asking = [asyncio.create_task(ask(flights, model)) for _ in range(10)]
    await asyncio.sleep(0)
    model.go.set()
    return await asyncio.gather(*asking, return_exceptions=True)


async def test_a_failure_is_the_leaders_alone_until_it_is_everybodys():
    flights = Flights(max_leaders=3)
    model = Model(failing=1, error=BackendError("out of order"))
    answers = await ten_at_once(flights, model)
    assert [type(answer) for answer in answers] == [BackendError] + [bytes] * 9
    assert model.begun == 2
    down = Model(failing=99, error=BackendError("out of order"))
    answers = await ten_at_once(flights, down)
    assert [str(answer) for answer in answers] == ["out of order"] * 10
    assert down.begun == 3


async def test_the_requests_own_fault_is_shared():
    flights = Flights()
    flight, _ = flights.join(KEY)
    followers = [flight.follow() for _ in range(3)]
    flight.fail(InputError("no such role"), shared=True)
    for follower in followers:
        with pytest.raises(InputError, match="no such role"):
            await follower.begun()
    assert flights.find(KEY) is None


async def test_after_the_first_part_a_failure_reaches_all_who_had_it():
    flights = Flights()
    flight, _ = flights.join(KEY)
    had, had_not = flight.follow(), flight.follow()
    flight.publish(b"a")
    assert await anext(had) == b"a"
    flight.fail(BackendError("broke off"))
    with pytest.raises(BackendError, match="broke off"):
        await anext(had)
    with pytest.raises(Vacant):
        await anext(had_not)  # a new beginning rather than one without an end


async def test_a_slow_reader_of_a_long_answer_holds_up_nobody_and_little_memory():
    flights = Flights(max_flight_bytes=1000)
    flight, _ = flights.join(KEY)
    fast, slow = flight.follow(), flight.follow()
    got = b""
    for _ in range(100):
        flight.publish(b"x" * 100)
        got += await anext(fast)
        assert sum(map(len, flight._parts)) <= 2000
    assert flights.find(KEY) is None  # nobody could get its beginning any more
    flight.end()
    assert len(got) == 10_000
    with pytest.raises(Lost, match="too slowly"):
        await anext(slow)


async def test_the_table_is_bounded():
    flights = Flights(max_flights=3)
    held = [flights.join(b"%032d" % number) for number in range(10)]
    assert all(leads for _, leads in held)
    assert flights.num_flights == 3
    for flight, _ in held:
        flight.end()
    assert flights.num_flights == 0


def test_a_flight_that_nobody_follows_can_let_go_of_its_parts():
    async def scenario():
        flights = Flights()
        flight, leads = flights.join(b"k" * 32)
        assert leads
        for _ in range(100):
            flight.publish(b"x" * 1000)
        assert flight.let_go()
        assert flights.num_flights == 0, "who asks now leads anew"
        flight.publish(b"y")
        other, leads = flights.join(b"k" * 32)
        assert leads
        assert other is not flight
        follower = other.follow()
        other.publish(b"z")
        assert not other.let_go(), "somebody reads along"
        other.end()
        assert [part async for part in follower] == [b"z"]
        flight.end()

    asyncio.run(scenario())
