from __future__ import annotations

import asyncio
import random

import pytest

from tenfold.errors import BackendError, ConfigError
from tenfold.serve.backends.base import BackendRefusal, Unreachable
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.breaker import CLOSED, HALF_OPEN, OPEN
from tenfold.serve.router.config import MemberConfig, RouterConfig
from tenfold.serve.router.fleet import Fleet

from .scripted import (
    Scripted,
    Served,
    Spoken,
    attempt,
    chat,
    listening,
    remote,
    reply,
    routing,
    said,
)

GOOD = chat("good")
LONG = chat("x" * 5000)


async def until(true) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


def names(router) -> list[str]:
    return [member.name for member in router.fleet.members]


async def test_a_drained_member_gets_no_new_work_and_ends_its_own():
    a, b = Scripted("a", lambda: Spoken(b"x", b"y")), Scripted("b", lambda: Spoken(b"x", b"y"))
    async with routing(a, b) as router:
        both = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        router.fleet.drain("a")
        assert {(await said(await router.open(RouteAsk("m"), attempt))) for _ in range(5)} == {
            b"xy"
        }
        assert (a.opened, b.opened) == (1, 6)
        assert [await said(routed) for routed in both] == [b"xy", b"xy"]
        router.fleet.resume("a")
        for _ in range(4):
            await said(await router.open(RouteAsk("m"), attempt))
        assert (a.opened, b.opened) == (3, 8)


async def test_kept_members_keep_everything_and_removed_ones_end_when_their_work_has():
    a, b, c = Scripted("a", lambda: Spoken(b"x", b"y")), Scripted("b"), Scripted("c")
    async with routing(a, b) as router:
        routed = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        (held,) = [each for each in routed if each.member.name == "a"]
        kept = next(member for member in router.fleet.members if member.name == "b")
        router.fleet.reconfigure([Scripted("b"), c], RouterConfig(max_outstanding=7))
        assert names(router) == ["b", "c"]
        assert router.fleet.members[0] is kept
        assert kept.backend is b
        assert (kept.num_requests, kept.max_outstanding) == (1, 7)
        await router.fleet.settled()
        assert router.fleet.outstanding == 2
        assert a.state == "started"
        assert await said(held) == b"xy"
        await until(lambda: a.state == "stopped")
        assert router.fleet.leaving == []
        for each in routed:
            each.close()
        for _ in range(4):
            await said(await router.open(RouteAsk("m"), attempt))
        assert (a.opened, b.opened, c.opened) == (1, 3, 2)


async def test_work_that_does_not_end_is_cut_off_after_the_drain_time():
    a = Scripted("a", lambda: Spoken(b"x", asyncio.Event()))
    async with routing(a, Scripted("b"), drain_s=0.01) as router:
        routed = [await router.open(RouteAsk("m"), attempt) for _ in range(2)]
        router.fleet.reconfigure([Scripted("b")])
        await until(lambda: a.state == "stopped")
        for each in routed:
            each.close()


async def test_an_heir_takes_over_when_it_is_ready_and_not_before():
    up = asyncio.Event()

    class Late(Scripted):
        async def start(self):
            await up.wait()
            await super().start()

    old, new = Scripted("a", lambda: Spoken(b"old")), Late("a", lambda: Spoken(b"new"))
    async with routing(old) as router:
        router.fleet.reconfigure([new], changed={"a"})
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"old"
        # A second reload that changes nothing leaves both where they are.
        router.fleet.reconfigure([Scripted("a")])
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"old"
        up.set()
        await router.fleet.settled()
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"new"
        await until(lambda: old.state == "stopped")
        assert names(router) == ["a"]


async def test_an_heir_that_cannot_start_leaves_the_old_one_at_work():
    class Broken(Scripted):
        async def start(self):
            raise ConfigError("no such model")

    old, newer = Scripted("a", lambda: Spoken(b"old")), Scripted("a", lambda: Spoken(b"newer"))
    async with routing(old) as router:
        broken = Broken("a")
        router.fleet.reconfigure([broken], changed={"a"})
        with pytest.raises(ConfigError):
            await router.fleet.settled()
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"old"
        router.fleet.reconfigure([newer], changed={"a"})
        await router.fleet.settled()
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"newer"
        await until(lambda: {old.state, broken.state} == {"stopped"})


async def test_two_members_of_one_name_are_refused_before_anything_changes():
    async with routing(Scripted("a")) as router:
        with pytest.raises(ConfigError):
            router.fleet.reconfigure([Scripted("b"), Scripted("b")])
        assert names(router) == ["a"]
    with pytest.raises(ConfigError):
        Fleet([Scripted("a"), Scripted("a")])


async def test_the_last_member_of_a_model_comes_back_when_the_others_go():
    def down():
        raise Unreachable("refused")

    async with routing(Scripted("a", down), Scripted("b"), failures_to_open=1) as router:
        for _ in range(4):
            await said(await router.open(RouteAsk("m"), attempt))
        a, _ = router.fleet.members
        assert a.breaker.state == OPEN
        router.fleet.drain("b")
        assert a.breaker.state == CLOSED
        with pytest.raises(Unreachable):
            await router.open(RouteAsk("m"), attempt)


async def test_other_settings_reach_the_policy_and_what_it_learnt_stays_when_it_can():
    a, b = Scripted("a"), Scripted("b")
    async with routing(a, b, policy="prefix") as router:
        assert router.reads_prefix
        table = router.policy.table
        router.fleet.reconfigure([a, b], RouterConfig(policy="prefix", max_waiting=3))
        assert router.policy.table is table
        assert router.waiting.max_waiting == 3
        await said(await router.open(RouteAsk("m", prefix=(1,)), attempt))
        assert len(table) == 1
        router.fleet.reconfigure([Scripted("c")])  # nobody who was asked is left
        await until(lambda: {a.state, b.state} == {"stopped"} and router.fleet.ready)
        assert len(table) == 0
        a, b = Scripted("a"), Scripted("b")
        members = {"b": MemberConfig(usd_per_token=1e-6)}
        router.fleet.reconfigure([a, b], RouterConfig(policy="cost", members=members))
        await router.fleet.settled()
        assert not router.reads_prefix
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(5)}
        assert heard == {b"b"}


async def test_other_settings_reach_the_breakers_of_kept_members():
    def down():
        raise Unreachable("refused")

    a, b = Scripted("a", down), Scripted("b")
    async with routing(a, b, failures_to_open=100) as router:
        router.fleet.reconfigure([a, b], RouterConfig(failures_to_open=2))
        for _ in range(8):
            await said(await router.open(RouteAsk("m"), attempt))
        assert a.opened == 2


async def test_probes_eject_and_let_back():
    class Probed(Scripted):
        well = True
        num_probes = 0

        async def probe(self):
            self.num_probes += 1
            if not self.well:
                raise Unreachable("refused")

    a, b = Probed("a"), Probed("b")
    async with routing(a, b, probe_interval_s=0.002, open_s=1000, max_open_s=1000) as router:
        breaker = router.fleet.members[0].breaker
        await until(lambda: a.num_probes >= 3)
        assert breaker.state == CLOSED
        a.well = False
        await until(lambda: breaker.state == OPEN)
        for _ in range(6):
            assert await said(await router.open(RouteAsk("m"), attempt)) == b"b"
        b.well = False  # the last one stays, whatever its probes say
        seen = b.num_probes
        await until(lambda: b.num_probes >= seen + 4)
        assert router.fleet.members[1].breaker.state == CLOSED
        a.well = True
        await until(lambda: breaker.state == HALF_OPEN)
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(6)}
        assert b"a" in heard
        assert breaker.state == CLOSED
        router.fleet.reconfigure([Scripted("b")])
        await until(lambda: a.state == "stopped")
        seen = a.num_probes
        seen_b = b.num_probes
        await until(lambda: b.num_probes >= seen_b + 3)
        assert a.num_probes == seen


async def test_removed_members_stay_until_others_have_come():
    """All names change at once, and one that comes never gets up: no moment is without the model."""
    up = asyncio.Event()

    class Late(Scripted):
        async def start(self):
            await up.wait()
            await super().start()

    class Never(Scripted):
        async def start(self):
            raise Unreachable("not up")

    old, late = Scripted("a", models=("m", "n")), Late("b", models=("m",))
    async with routing(old) as router:
        router.fleet.reconfigure([late, Never("c")])
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"a"
        up.set()
        await until(lambda: late.state == "started")
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(4)}
        assert heard == {b"a", b"b"}  # nobody else has n yet
        router.fleet.reconfigure([late])
        await until(lambda: old.state == "stopped")
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"b"


async def test_a_removed_member_may_be_put_back():
    old = Scripted("a")
    up = asyncio.Event()

    class Late(Scripted):
        async def start(self):
            await up.wait()

    async with routing(old) as router:
        kept = router.fleet.members[0]
        router.fleet.reconfigure([Late("b")])
        router.fleet.reconfigure([Scripted("a")])
        up.set()
        assert router.fleet.members == [kept]
        for _ in range(3):
            await asyncio.sleep(0.01)
        assert await said(await router.open(RouteAsk("m"), attempt)) == b"a"
        assert old.opened == 1


async def test_a_member_that_dies_under_load_costs_no_request():
    """Real servers; one is killed with requests on its connections, and comes back later."""
    servers = [Served(name, reply(200, chat(name))) for name in "abc"]
    async with (
        listening(*servers),
        routing(*map(remote, servers), open_s=0.01, retry_share=1.0) as router,
    ):
        heard: list[bytes] = []

        async def client(count: int) -> None:
            for _ in range(count):
                heard.append(await said(await router.open(RouteAsk("m"), attempt)))

        clients = [asyncio.create_task(client(60)) for _ in range(8)]
        await until(lambda: len(heard) > 100)
        await servers[0].die()
        while not all(task.done() for task in clients):
            await asyncio.sleep(0.001)
        await asyncio.gather(*clients)
        assert len(heard) == 480
        assert router.fleet.members[0].num_failures > 0
        alone = heard.count(chat("a"))
        await servers[0].listen()
        while heard.count(chat("a")) == alone:
            await client(5)


async def hang_up(writer):
    writer.transport.abort()


async def halfway(writer):
    head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    writer.write(head + b"only this")
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.transport.abort()


@pytest.mark.parametrize(
    ("behave", "heard"),
    [
        (hang_up, {GOOD}),
        (reply(503, b"full"), {GOOD}),
        (reply(429, b"slow down", b"retry-after: 9"), {GOOD}),
        (reply(500, b"boom"), {GOOD, BackendRefusal}),
        (halfway, {GOOD}),
    ],
)
async def test_the_wire_itself_says_what_may_be_tried_again(behave, heard):
    bad, good = Served("bad", behave), Served("good", reply(200, GOOD))
    async with listening(bad, good), routing(remote(bad), remote(good)) as router:
        told = set()
        for _ in range(2):
            try:
                told.add(await said(await router.open(RouteAsk("m"), attempt)))
            except BackendError as error:
                told.add(type(error))
        assert bad.num_requests >= 1
        assert told == heard


async def test_a_server_behind_the_gateway_is_probed():
    """The real backend over a real socket: dead, it is ejected without a request; back, it is let in."""
    a, b = Served("a", reply(200, chat("a"))), Served("b", reply(200, chat("b")))
    async with (
        listening(a, b),
        routing(
            remote(a), remote(b), probe_interval_s=0.005, open_s=1000, max_open_s=1000
        ) as router,
    ):
        breaker = router.fleet.members[0].breaker
        await until(lambda: a.num_probes >= 4)
        await a.die()
        await until(lambda: breaker.state == OPEN)
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(4)}
        assert heard == {chat("b")}
        assert a.num_requests == 0
        await a.listen()
        await until(lambda: breaker.state == HALF_OPEN)
        heard = {await said(await router.open(RouteAsk("m"), attempt)) for _ in range(4)}
        assert heard == {chat("a"), chat("b")}


async def test_a_loser_of_a_race_is_hung_up_on():
    """The connection of the slow attempt is really closed: that is what stops the work upstream."""
    slow_now = [False]

    async def slow(writer):
        if slow_now[0]:
            await asyncio.sleep(0.3)
        await reply(200, chat("slow"))(writer)

    a, b = Served("a", slow), Served("b", reply(200, chat("b")))
    async with listening(a, b), routing(remote(a), remote(b), hedge_share=0.5) as router:
        for _ in range(40):
            await said(await router.open(RouteAsk("m"), attempt))
        slow_now[0] = True
        gone = a.num_gone
        async with asyncio.timeout(60):  # it may not be the first to be asked
            while a.num_gone == gone:
                assert await said(await router.open(RouteAsk("m"), attempt)) == chat("b")
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(2))
async def test_reloads_under_load_lose_no_request(seed):
    """Members come, go and are replaced all the time; every one of 1,000 answers arrives whole."""
    draw = random.Random(seed)
    servers = [Served(f"s{n}", reply(200, LONG)) for n in range(5)]
    async with (
        listening(*servers),
        routing(*map(remote, servers[:3]), max_outstanding=4, max_attempts=1) as router,
    ):
        done = 0

        async def client() -> None:
            nonlocal done
            for _ in range(50):
                routed = await router.open(RouteAsk("m"), attempt)
                assert await said(routed) == LONG
                done += 1

        clients = [asyncio.create_task(client()) for _ in range(20)]
        reloads = 0
        while not all(task.done() for task in clients):
            chosen = draw.sample(servers, draw.randint(1, 4))
            changed = {server.name for server in chosen if draw.random() < 0.4}
            router.fleet.reconfigure([remote(server) for server in chosen], changed=changed)
            reloads += 1
            await router.fleet.settled()
            await asyncio.sleep(0.005)
        await asyncio.gather(*clients)
        assert done == 1000
        assert reloads > 5
        await until(lambda: router.fleet.leaving == [])
