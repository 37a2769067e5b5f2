"""The shared tier against a real Redis: faithful, apart, and dispensable."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.purge import surrogate_tag, tenant_tag
from tenfold.serve.cache.resp import Link, _parse
from tenfold.serve.cache.shared import Claim, SharedTier
from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import Tiers

KEY = b"\r\n" * 16


class Host:
    """What one host has: a link, a tier, a chain with a dictionary in front."""

    def __init__(self, url, **settings):
        self.link = Link(url, timeout_s=0.5, longest_wait_s=0.1)
        self.tier = SharedTier(self.link, **{"poll_s": 0.02, **settings})
        self.exact = ExactTier(max_entries=100, max_bytes=1 << 30)
        self.tiers = Tiers([self.exact], remote=self.tier)

    async def __aenter__(self):
        self.tier.start()
        return self

    async def __aexit__(self, *error):
        await self.tiers.close()


async def until(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.005)


def connected(*hosts):
    return until(lambda: all(host.link.connected for host in hosts))


async def test_an_answer_reaches_another_host_byte_for_byte(redis_server, answer):
    stored = answer("one", os.urandom(300_000), events=os.urandom(5000), usage_span=(3, 9))
    async with Host(redis_server.url) as one, Host(redis_server.url) as other:
        await connected(one, other)
        one.tiers.put(KEY, stored)
        assert await one.tier.get(KEY) == stored
        assert other.tiers.get(KEY) is None
        assert await other.tiers.get_remote(KEY) == ("shared", stored)
        assert other.tiers.get(KEY) == ("exact", stored)  # learned
        assert await other.tier.get(b"another key".ljust(32)) is None


async def test_it_is_a_time_to_live_and_a_namespace_that_it_is_kept_under(redis_server, answer):
    now = time.time()
    async with Host(redis_server.url, namespace="a", ttl_s=100) as one, Host(redis_server.url) as b:
        await connected(one, b)
        one.tier.put(KEY, answer())
        one.tier.put(b"x" * 32, answer(expires_at_s=now + 5))
        one.tier.put(b"y" * 32, answer(expires_at_s=now - 5))
        assert await one.tier.get(KEY) is not None
        assert await b.tier.get(KEY) is None
        keys = redis_server.command("--raw", "KEYS", "*")
        assert keys.count("a:a:") == 2
        assert 4000 < int(redis_server.command("PTTL", "a:a:" + "x" * 32)) <= 5000


async def test_what_others_wrote_under_a_key_is_a_miss(redis_server):
    async with Host(redis_server.url) as host:
        await connected(host)
        name = "tenfold:a:" + "k" * 32
        redis_server.command("SET", name, "not ours")
        assert await host.tier.get(b"k" * 32) is None
        redis_server.command("DEL", name)
        redis_server.command("RPUSH", name, "a list")
        assert await host.tier.get(b"k" * 32) is None


async def test_without_redis_it_goes_on_says_so_once_and_comes_back(redis_server, answer, caplog):
    async with Host(redis_server.url) as host:
        await connected(host)
        host.tier.put(KEY, answer("before"))
        assert await host.tier.get(KEY) is not None
        redis_server.stop()
        await until(lambda: not host.link.connected)
        for _ in range(50):
            host.tiers.put(KEY, answer("meanwhile"))
            assert host.tiers.get(KEY) is not None
            assert await host.tier.get(KEY) is None
            assert await host.tier.claim(KEY, 10.0) is None  # at once: each makes its own
            await asyncio.sleep(0.01)
        redis_server.start()
        await until(lambda: host.link.connected)
        host.tier.put(KEY, answer("after"))
        assert (await host.tier.get(KEY)).response_id == "after"
    said = [record.message for record in caplog.records]
    assert sum("went away" in text or "cannot be used" in text for text in said) == 1
    assert sum("is back" in text for text in said) == 1


async def test_a_redis_that_stands_still_is_left_alone(redis_server, answer):
    link = Link(redis_server.url, timeout_s=0.02, longest_wait_s=0.1)
    tier = SharedTier(link)
    tier.start()
    await until(lambda: link.connected)
    redis_server.signal(signal.SIGSTOP)
    assert [await tier.get(KEY) for _ in range(10)] == [None] * 10
    await until(lambda: not link.connected)
    redis_server.signal(signal.SIGCONT)
    await until(lambda: link.connected)
    tier.put(KEY, answer("back"))
    assert (await tier.get(KEY)).response_id == "back"
    await tier.close()


async def test_a_late_reply_is_never_taken_for_the_next(redis_server, answer):
    async with Host(redis_server.url) as host:
        await connected(host)
        keys = [b"%032d" % number for number in range(200)]
        for key in keys:
            host.tier.put(key, answer(key.decode()))
        await host.tier.get(keys[0])

        async def ask(key, patience_s):
            try:
                async with asyncio.timeout(patience_s):
                    return key, await host.tier.get(key)
            except TimeoutError:
                return key, None

        for round_ in range(5):
            asked = [ask(key, 1e-5 if (n + round_) % 3 else 5) for n, key in enumerate(keys)]
            for key, stored in await asyncio.gather(*asked):
                assert stored is None or stored.response_id == key.decode()


@pytest.mark.parametrize("wrong", ["user:guessed-wrong@", ":guessed-wrong@", ""])
async def test_no_password_is_ever_said(redis_server, caplog, wrong):
    url = f"redis://{wrong}127.0.0.1:{redis_server.port}/0"
    async with Host(url) as host:
        await until(lambda: caplog.records)
        assert await host.tier.get(KEY) is None
    assert str(redis_server.port) in caplog.text
    assert "guessed-wrong" not in caplog.text + repr(vars(host.link)["where"])
    with pytest.raises(ConfigError) as refused:
        Link("rediz://:guessed-wrong@host")
    assert "guessed-wrong" not in str(refused.value)


async def test_a_purge_reaches_other_hosts_and_those_that_were_away(redis_server, answer):
    asked_at_s = time.time()
    async with Host(redis_server.url) as one, Host(redis_server.url) as other:
        await connected(one, other)
        for host in (one, other):
            for number, tenant in enumerate(("acme", "umbrella")):
                key = b"%032d" % number
                host.tiers.put(key, answer(tenant, tenant=tenant, created_at_s=asked_at_s))
        one.tiers.purge(tenant_tag("acme"))
        await until(lambda: other.tiers.get(b"%032d" % 0) is None)
        assert await other.tiers.get_remote(b"%032d" % 0) is None
        assert other.tiers.get(b"%032d" % 1) is not None
        redis_server.stop()
        await until(lambda: not one.link.connected and not other.link.connected)
        one.tiers.purge(tenant_tag("umbrella"))  # nobody to tell, for now
        assert one.tiers.get(b"%032d" % 1) is None
        redis_server.start()
        await until(lambda: other.tiers.get(b"%032d" % 1) is None)
    async with Host(redis_server.url) as newcomer:
        await connected(newcomer)
        late = answer(tenant="umbrella", created_at_s=asked_at_s)
        await until(lambda: newcomer.tiers.put(KEY, late) or newcomer.tiers.get(KEY) is None)


async def test_marks_stay_bounded(redis_server, answer):
    async with Host(redis_server.url) as one, Host(redis_server.url) as other:
        await connected(one, other)
        asked_at_s = time.time()
        other.tiers.put(KEY, answer(surrogates=("page 7",), created_at_s=asked_at_s))
        for number in range(9000):
            one.tiers.purge(surrogate_tag(f"page {number}"))
        await until(lambda: other.tiers.get(KEY) is None)
        await until(lambda: int(redis_server.command("ZCARD", "tenfold:purges")) <= 4096)


async def test_of_two_hosts_one_makes_the_answer_and_the_other_gets_it(redis_server, answer):
    async with Host(redis_server.url) as one, Host(redis_server.url) as other:
        await connected(one, other)
        claim = await one.tier.claim(KEY, 5.0)
        assert isinstance(claim, Claim)
        waiting = asyncio.create_task(other.tier.claim(KEY, 5.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        one.tiers.put(KEY, answer("made once"))
        claim.release()
        got = await waiting
        assert isinstance(got, Stored)
        assert got.response_id == "made once"


async def test_a_host_that_dies_with_a_claim_is_taken_over(redis_server):
    async with Host(redis_server.url, claim_ttl_s=0.3) as one, Host(redis_server.url) as other:
        await connected(one, other)
        first = await one.tier.claim(KEY, 5.0)
        waiting = asyncio.create_task(other.tier.claim(KEY, 20.0))
        await asyncio.sleep(0.6)
        assert not waiting.done()  # renewed while it lives
        first._timer.cancel()  # now it renews no more, as if the host were gone
        second = await waiting
        assert isinstance(second, Claim)
        first.release()  # too late: it is the other's now
        assert await one.tier.claim(KEY, 0.1) is None
        second.release()
        third = await one.tier.claim(KEY, 5.0)
        assert isinstance(third, Claim)
        third.release()


REPLIES = st.recursive(
    st.none() | st.binary(max_size=30) | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


def said(reply):
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    return b"*%d\r\n" % len(reply) + b"".join(map(said, reply))


@given(REPLIES, st.binary(max_size=5))
def test_replies_are_read_whole_or_not_at_all(reply, after):
    whole = said(reply)
    assert _parse(whole + after, 0) == (len(whole), reply)
    for cut in range(1, len(whole)):
        assert _parse(whole[:cut], 0)[0] > cut
