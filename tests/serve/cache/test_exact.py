"""The exact tier: bounded both ways, honest about memory, forgetting by age, better than LRU."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import os
import random
import tracemalloc
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import UnknownName
from tenfold.serve.cache.exact import ENTRY_BYTES, ExactTier
from tenfold.serve.cache.purge import tenant_tag
from tenfold.serve.cache.tier import Tiers, open_tiers

STEPS = st.lists(st.tuples(st.sampled_from("gpx"), st.integers(0, 30)), max_size=200)


@given(STEPS, st.integers(1, 12))
def test_says_what_was_put_last_or_nothing(answer, steps, room):
    tier = ExactTier(max_entries=room, max_bytes=10**9)
    told: dict[bytes, str] = {}
    for at, (verb, number) in enumerate(steps):
        key = bytes([number])
        if verb == "p":
            told[key] = str(at)
            tier.put(key, answer(str(at)))
        elif verb == "x":
            purged = [key for key, text in told.items() if text.endswith(str(number % 10))]
            for key in purged:
                del told[key]
            for _ in tier.sweep(lambda stored, n=number: stored.response_id.endswith(str(n % 10))):
                pass
        else:
            got = tier.get(key)
            assert got is None or got.response_id == told[key]
        assert tier.num_entries <= room
        held = [tier.get(bytes([n])) for n in range(31)]
        assert tier.num_entries == sum(stored is not None for stored in held)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5000)), max_size=40))
def test_never_more_bytes_than_allowed(answer, puts):
    tier = ExactTier(max_entries=1000, max_bytes=20_000)
    for number, size in puts:
        tier.put(bytes([number]), answer(whole=b"x" * size))
        assert tier.num_bytes <= 20_000
    held = [stored for n in range(21) if (stored := tier.get(bytes([n]))) is not None]
    assert sum(stored.num_bytes + ENTRY_BYTES for stored in held) == tier.num_bytes


@pytest.mark.parametrize("size", [0, 200, 1_500, 20_000])
def test_its_own_account_of_memory_is_true_within_a_fifth(answer, size):
    def fresh(number):
        return answer(
            f"chatcmpl-{number:032x}",
            os.urandom(size),
            events=os.urandom(3 * size),
            usage_span=(1000 + number, 2000 + number),
            backend=f"backend{number}",
            model_digest=os.urandom(32).hex(),
            tenant=f"tenant{number}",
            prompt_tokens=1000 + number,
            completion_tokens=5000 + number,
            created_at_s=number + 0.5,
        )

    room = 1_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tier = ExactTier(max_entries=room, max_bytes=1 << 40)
        for filled in (room, 3 * room):  # full, and after everything was replaced
            for number in range(filled):
                tier.put(os.urandom(32), fresh(number))
            taken = tracemalloc.get_traced_memory()[0] - before
            assert 0.8 * taken <= tier.num_bytes <= 1.2 * taken
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("skew", [0.8, 1.0])
def test_more_hits_than_least_recently_used_on_zipf(answer, skew):
    keys = 20_000
    weights = list(itertools.accumulate(1 / (rank + 1) ** skew for rank in range(keys)))
    dice = random.Random(1)
    stream = [bisect.bisect(weights, dice.random() * weights[-1]) for _ in range(60_000)]
    tier = ExactTier(max_entries=keys // 100, max_bytes=1 << 40)
    recent: OrderedDict[int, None] = OrderedDict()
    hits = lru_hits = 0
    stored = answer()
    for number in stream:
        key = number.to_bytes(4, "big")
        if tier.get(key) is not None:
            hits += 1
        else:
            tier.put(key, stored)
        if number in recent:
            lru_hits += 1
        recent[number] = None
        recent.move_to_end(number)
        if len(recent) > keys // 100:
            recent.popitem(last=False)
    assert hits > lru_hits * 1.1


def test_a_scan_does_not_wash_out_what_is_used(answer):
    tier = ExactTier(max_entries=100, max_bytes=1 << 40)
    used = [b"used%d" % n for n in range(50)]
    for key in used:
        tier.put(key, answer())
    for key in used * 3:
        assert tier.get(key)
    for number in range(10_000):
        tier.put(b"%d" % number, answer())
        if number % 100 == 0:
            for key in used:
                tier.get(key)
    assert all(tier.get(key) for key in used)


def test_an_answer_too_large_takes_the_old_one_with_it_but_nothing_else(answer):
    tier = ExactTier(max_entries=10, max_bytes=20_000)
    tier.put(b"a", answer("old"))
    tier.put(b"b", answer("other"))
    tier.put(b"a", answer(whole=b"x" * 10_000))
    assert tier.get(b"a") is None  # the old answer is no longer the answer
    assert tier.get(b"b").response_id == "other"


def test_forgets_by_its_own_age_and_by_the_answers(answer):
    now = [100.0]
    tier = ExactTier(max_entries=10, max_bytes=10**6, ttl_s=5, clock=lambda: now[0])
    tier.put(b"a", answer())
    tier.put(b"b", answer(expires_at_s=102))
    tier.put(b"c", answer(expires_at_s=1e9))
    now[0] += 3
    assert [tier.get(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    now[0] += 3
    assert [tier.get(key) for key in (b"a", b"c")] == [None, None]
    assert (tier.num_entries, tier.num_bytes) == (0, 0)


def test_an_unknown_tier_is_named():
    with pytest.raises(UnknownName, match=r"exat.*\n.*exact"):
        open_tiers(["exat"], {"exact": lambda: ExactTier(max_entries=1, max_bytes=1)})


def test_an_earlier_tier_learns_from_a_later_one(answer):
    near = ExactTier(max_entries=10, max_bytes=10**6)
    far = ExactTier(max_entries=10, max_bytes=10**6)
    far.put(b"a", answer("x"))
    chain = Tiers([near, far])
    assert chain.get(b"a")[1].response_id == "x"
    assert near.get(b"a").response_id == "x"
    assert chain.get(b"b") is None
    assert (chain.num_hits, chain.num_misses) == (1, 1)


async def test_a_purge_counts_before_its_sweep_is_done(answer):
    tier = ExactTier(max_entries=5000, max_bytes=1 << 30)
    chain = Tiers([tier])
    keys = [b"%032d" % number for number in range(5000)]
    for number, key in enumerate(keys):
        chain.put(key, answer(tenant="ab"[number % 2], created_at_s=1.0))
    chain.purge(tenant_tag("a"))
    assert tier.num_entries == 5000
    assert [chain.get(key) is not None for key in keys[-4:]] == [False, True, False, True]
    while tier.num_entries > 2500:
        await asyncio.sleep(0)
    assert all(tier.get(key) is not None for key in keys[1::2])
