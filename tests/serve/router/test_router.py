from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tenfold.errors import BackendError
from tenfold.serve.backends.base import BackendRefusal, PromptTooLong, Unreachable
from tenfold.serve.refusal import Refusal
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.breaker import CLOSED, OPEN

from .scripted import Clock, Scripted, Spoken, attempt, routing, said


def raising(error: Exception):
    def behave():
        raise error

    return behave


def in_turn(*behaviours):
    """The first behaviour first; the last one for ever."""
    left = list(behaviours)

    def behave():
        now = left.pop(0) if len(left) > 1 else left[0]
        return now() if callable(now) else now

    return behave


async def test_the_simple_case_makes_no_task_and_no_timer():
    backend = Scripted("a", lambda: Spoken(b"x", b"y"))
    async with routing(backend) as router:
        loop = asyncio.get_running_loop()
        made: list[str] = []
        for name in ("create_task", "call_at", "call_later", "call_soon"):
            setattr(loop, name, lambda *_, name=name, **__: made.append(name))
        try:
            for _ in range(5):
                routed = await router.open(RouteAsk("m", tokens=7), attempt)
                assert routed.member.outstanding == 1
                assert routed.member.outstanding_tokens == 7
                assert await said(routed) == b"xy"
        finally:
            for name in ("create_task", "call_at", "call_later", "call_soon"):
                delattr(loop, name)
        assert made == []
        assert (routed.attempts, routed.hedged, routed.card.name) == (1, False, "m")


async def test_a_closed_answer_gives_its_room_back_once():
    spoken = Spoken(b"x", b"y")
    async with routing(Scripted("a", lambda: spoken)) as router:
        routed = await router.open(RouteAsk("m", slots=3), attempt)
        assert router.fleet.outstanding == 3
        routed.close()
        routed.close()
        assert spoken.closed
        assert router.fleet.outstanding == 0


@pytest.mark.parametrize(
    "first",
    [
        raising(Unreachable("refused")),
        raising(BackendRefusal("full", status=503)),
        raising(BackendRefusal("slow down", status=429, retry_after_s=100)),
        lambda: Spoken(Unreachable("closed")),
        lambda: Spoken(),
    ],
)
async def test_another_member_answers_when_one_does_not_begin(first):
    bad, good = Scripted("a", first), Scripted("b")
    async with routing(bad, good) as router:
        answers = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        assert [await said(routed) for routed in answers] == [b"b", b"b"]
        assert bad.opened == 1
        assert sorted(routed.attempts for routed in answers) == [1, 2]
        assert router.fleet.members[1].num_retries == 1


async def test_what_began_and_broke_off_is_never_repeated():
    bad = Scripted("a", lambda: Spoken(b"x", BackendError("gone")))
    good = Scripted("b", lambda: Spoken(b"x", b"y"))
    async with routing(bad, good) as router:
        ended = []
        for _ in range(4):
            try:
                ended.append(await said(await router.open(RouteAsk("m"), attempt)))
            except BackendError as error:
                ended.append(error.fact)
        assert Counter(ended) == {"gone": 2, b"xy": 2}
        assert router.fleet.members[0].num_failures == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
async def test_an_error_that_is_not_safe_to_repeat_is_the_answer(status):
    error = BackendRefusal("as the server said", status=status)
    backends = [Scripted(name, raising(error)) for name in "abc"]
    async with routing(*backends) as router:
        with pytest.raises(BackendRefusal) as told:
            await router.open(RouteAsk("m"), attempt)
        assert told.value is error
        assert sum(backend.opened for backend in backends) == 1


async def test_the_error_is_what_the_last_member_said():
    backends = [
        Scripted(name, raising(BackendRefusal(f"{name} is down", status=503))) for name in "abc"
    ]
    async with routing(*backends, max_attempts=3) as router:
        with pytest.raises(BackendRefusal) as told:
            await router.open(RouteAsk("m"), attempt)
        assert [backend.opened for backend in backends] == [1, 1, 1]
        last = max(router.fleet.members, key=lambda m: m.error is told.value)
        assert told.value.fact == f"{last.name} is down"


@pytest.mark.parametrize(("status", "opened"), [(502, 1), (503, 2)])
async def test_side_effects_are_repeated_only_when_surely_not_begun(status, opened):
    backends = [Scripted(n, raising(BackendRefusal("no", status=status))) for n in "ab"]
    async with routing(*backends, max_attempts=2) as router:
        with pytest.raises(BackendRefusal):
            await router.open(RouteAsk("m", side_effects=True), attempt)
        assert sum(backend.opened for backend in backends) == opened


async def test_a_short_retry_after_is_waited_for_and_a_long_one_told():
    soon = BackendRefusal("wait", status=429, retry_after_s=0.001)
    later = BackendRefusal("wait long", status=429, retry_after_s=30)
    backend = Scripted("a", in_turn(raising(soon), lambda: Spoken(b"ok"), raising(later)))
    async with routing(backend) as router:
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"ok"
        with pytest.raises(BackendRefusal) as told:
            await router.open(RouteAsk("m"), attempt)
        assert told.value.retry_after_s == 30
        assert backend.opened == 3


async def test_a_member_that_asked_for_rest_gets_it_while_there_are_others():
    clock = Clock()
    busy = raising(BackendRefusal("wait", status=429, retry_after_s=10))
    tired, fresh = Scripted("a", in_turn(busy, lambda: Spoken(b"a"))), Scripted("b")
    async with routing(tired, fresh, now=clock) as router:
        for _ in range(10):
            assert await said(await router.open(RouteAsk("m"), attempt)) == b"b"
        assert tired.opened == 1
        clock.now += 10
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(4)}
        assert heard == {b"a", b"b"}


async def test_nothing_is_begun_after_the_deadline():
    clock = Clock()

    def late():
        clock.now += 5
        raise Unreachable("refused")

    backends = [Scripted(name, late) for name in "ab"]
    async with routing(*backends, now=clock) as router:
        with pytest.raises(Unreachable):
            await router.open(RouteAsk("m", deadline=clock.now + 3), attempt)
        assert sum(backend.opened for backend in backends) == 1
        with pytest.raises(TimeoutError):
            await router.open(RouteAsk("m", deadline=clock.now), attempt)
        assert sum(backend.opened for backend in backends) == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_a_total_outage_is_not_made_worse_by_retries(count):
    """1,000 requests in one second: at most 20 % more attempts, and the floor of ten seconds."""
    backends = [Scripted(f"b{n}", raising(Unreachable("refused"))) for n in range(count)]
    clock = Clock()
    async with routing(
        *backends,
        now=clock,
        backoff_s=0,
        retry_floor_per_s=1,
        retry_share=0.2,
    ) as router:
        for _ in range(1000):
            with pytest.raises(Unreachable):
                await router.open(RouteAsk("m"), attempt)
        attempts = sum(backend.opened for backend in backends)
        assert 1000 < attempts <= 1000 * 1.2 + 10
        # Whoever is left alone, somebody is always asked.
        states = [member.breaker.state for member in router.fleet.members]
        assert states.count(CLOSED) == 1
        assert states.count(OPEN) == count - 1


async def test_retries_are_bounded_while_everybody_seems_well():
    """Members that are full say so and are not ejected; every request would be tried three times."""
    full = raising(BackendRefusal("full", status=503, retry_after_s=0))
    backends = [Scripted(name, full) for name in "abc"]
    async with routing(*backends, now=Clock(), backoff_s=0) as router:
        for _ in range(500):
            with pytest.raises(BackendRefusal):
                await router.open(RouteAsk("m"), attempt)
        assert {member.breaker.state for member in router.fleet.members} == {CLOSED}
        assert 500 < sum(backend.opened for backend in backends) <= 500 * 1.2 + 10


async def test_an_ejected_member_comes_back_by_a_probe():
    clock = Clock()
    down = [True]

    def behave():
        if down[0]:
            raise Unreachable("refused")
        return Spoken(b"a")

    flaky, good = Scripted("a", behave), Scripted("b")
    async with routing(flaky, good, now=clock, failures_to_open=2, open_s=1) as router:
        for _ in range(20):
            assert await said(await router.open(RouteAsk("m"), attempt)) == b"b"
        assert flaky.opened == 2
        clock.now += 2
        for _ in range(5):  # still down: one probe, and left alone for longer
            await said(await router.open(RouteAsk("m"), attempt))
        assert flaky.opened == 3
        down[0] = False
        clock.now += 3
        heard = Counter([await said(await router.open(RouteAsk("m"), attempt)) for _ in range(20)])
        assert heard[b"a"] == 10


async def test_unknown_models_and_members_that_are_not_there_yet():
    class Late(Scripted):
        async def start(self):
            raise Unreachable("not up")

    async with routing(Scripted("a", models=("m",))) as router:
        with pytest.raises(Refusal) as told:
            await router.open(RouteAsk("x"), attempt)
        assert (told.value.status, told.value.code) == (404, "model_not_found")
        router.fleet.reconfigure([Scripted("a"), Late("b")])
        with pytest.raises(Refusal) as told:
            await router.open(RouteAsk("x"), attempt)
        assert (told.value.status, told.value.code) == (503, "model_not_ready")


async def test_a_first_part_that_takes_too_long_is_somebody_elses_turn():
    never = asyncio.Event()
    spoken = Spoken(never)
    slow, good = Scripted("a", lambda: spoken), Scripted("b")
    async with routing(slow, good, first_part_timeout_s=0.01) as router:
        for _ in range(2):
            assert await said(await router.open(RouteAsk("m"), attempt)) == b"b"
        assert slow.opened == 1
        assert spoken.closed


@pytest.mark.parametrize(
    ("error", "on", "falls"),
    [
        (Unreachable("refused"), {"error"}, True),
        (BackendRefusal("boom", status=500), {"error"}, True),
        (BackendRefusal("slow", status=504), {"timeout"}, True),
        (BackendRefusal("full", status=429), {"busy"}, True),
        (BackendRefusal("full", status=429), {"error"}, False),
        (PromptTooLong(9, 8), {"context"}, True),
        (PromptTooLong(9, 8), {"error", "timeout", "busy"}, False),
        (BackendRefusal("bad request", status=400), {"error", "context"}, False),
    ],
)
async def test_another_model_answers_for_the_reasons_that_are_set(error, on, falls):
    bad = Scripted("a", raising(error), models=("large",))
    also_bad = Scripted("b", raising(error), models=("medium",))
    good = Scripted("c", models=("small",))
    async with routing(
        bad,
        also_bad,
        good,
        backoff_s=0,
        fallbacks={"large": ("medium", "gone", "small")},
        fallback_on=frozenset(on),
    ) as router:
        if falls:
            routed = await router.open(RouteAsk("large"), attempt)
            assert routed.card.name == "small"
            assert await said(routed) == b"c"
        else:
            with pytest.raises(type(error)):
                await router.open(RouteAsk("large"), attempt)
            assert good.opened == 0


async def test_a_model_with_a_fallback_is_left_alone_when_it_fails():
    bad = Scripted("a", raising(Unreachable("refused")), models=("large",))
    good = Scripted("b", models=("small",))
    async with routing(
        bad, good, now=Clock(), backoff_s=0, failures_to_open=3, fallbacks={"large": ("small",)}
    ) as router:
        for _ in range(20):
            assert await said(await router.open(RouteAsk("large"), attempt)) == b"b"
        assert bad.opened == 3


async def test_a_model_nobody_has_falls_back_as_well():
    async with routing(Scripted("b", models=("small",)), fallbacks={"large": ("small",)}) as router:
        routed = await router.open(RouteAsk("large"), attempt)
        assert (routed.card.name, await said(routed)) == ("small", b"b")


async def test_a_caller_that_leaves_cancels_the_attempt():
    begun = asyncio.Event()
    seen: list[str] = []

    async def hang():
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    backend = Scripted("a", hang)
    async with routing(backend) as router:
        task = asyncio.create_task(router.open(RouteAsk("m"), attempt))
        await begun.wait()
        assert router.fleet.outstanding == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled"]
        assert router.fleet.outstanding == 0
        assert router.fleet.members[0].num_failures == 0
        assert backend.opened == 1
