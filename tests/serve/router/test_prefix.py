from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.backends.base import ModelCard
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.member import Member, Place
from tenfold.serve.router.policies.choice import open_policy
from tenfold.serve.router.prefix import (
    BLOCK_BYTES,
    MAX_BLOCKS,
    PrefixTable,
    chain,
    conversation,
)
from tenfold.serve.router.ring import Ring

from .scripted import Scripted


@given(
    shared=st.binary(max_size=3000), one=st.binary(max_size=2000), other=st.binary(max_size=2000)
)
def test_chains_agree_exactly_as_far_as_prompts_do(shared, one, other):
    first, second = shared + one, shared + other
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    a, b = chain("m", first), chain("m", second)
    assert len(a) == min(MAX_BLOCKS, len(first) // BLOCK_BYTES)
    agree = 0
    while agree < min(len(a), len(b)) and a[agree] == b[agree]:
        agree += 1
    assert agree == min(same // BLOCK_BYTES, len(a), len(b))


def test_a_chain_is_the_same_in_every_process_and_another_for_every_model():
    code = "from tenfold.serve.router.prefix import chain; print(chain('m', b'abc' * 900))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(chain("m", b"abc" * 900))
    assert not set(chain("m", b"abc" * 900)) & set(chain("n", b"abc" * 900))


@pytest.mark.parametrize("field", ["messages", "input"])
def test_a_longer_conversation_begins_with_the_shorter_one(field):
    turns = [{"role": "user", "content": f"{n} " * 400} for n in range(5)]
    said = [conversation({field: turns[:n], "temperature": n, "user": str(n)}) for n in range(1, 6)]
    chains = [chain("m", text) for text in said]
    for shorter, longer in itertools.pairwise(chains):
        assert len(longer) > len(shorter) > 0
        assert longer[: len(shorter) - 1] == shorter[:-1]


def test_a_long_history_is_read_no_further_than_its_blocks_go():
    class Unread:
        """orjson raises on it."""

    long = [{"role": "user", "content": "x" * 600} for _ in range(100)]
    assert len(chain("m", conversation({"messages": [*long, Unread()]}))) == MAX_BLOCKS
    with pytest.raises(TypeError):
        conversation({"messages": [*long[:5], Unread()]})


def test_a_hundred_thousand_prompts_stay_within_the_bound():
    draw = random.Random(1)
    table = PrefixTable(5000, ttl_s=1e9)
    fullest = 0
    for at in range(100_000):
        blocks = tuple(draw.getrandbits(37) for _ in range(3))
        table.record(blocks, f"b{at % 7}", float(at))
        fullest = max(fullest, len(table))
        assert len(table) <= 5000
    assert fullest > 4000
    assert table.known(blocks, 1e5).depth("b4") == 3  # 99,999 % 7


def test_what_is_used_stays_and_what_is_not_expires():
    table = PrefixTable(1000, ttl_s=10)
    table.record((1, 2), "a", 0.0)
    table.record((3,), "b", 0.0)
    for now in range(1, 100):
        table.record((1, 2), "a", float(now))
    assert table.known((1, 2, 9), 99.0).depth("a") == 2
    assert table.known((3,), 99.0).length == 0
    assert table.known((1, 2), 130.0).length == 0
    assert len(table) <= 2


def test_a_member_that_has_gone_is_forgotten_and_its_successor_knows_nothing():
    table = PrefixTable(100, ttl_s=10)
    table.record((1, 2, 3), "a", 0.0)
    table.record((1,), "b", 0.0)
    table.forget("a")
    table.record((7,), "c", 0.0)
    known = table.known((1, 2, 3), 0.0)
    assert (known.length, known.depth("a"), known.depth("b"), known.depth("c")) == (1, 0, 1, 0)


@given(st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=2, max_size=12), st.data())
def test_keys_move_only_from_the_name_that_went(names, data):
    ring = Ring()
    keys = [random.Random(5).getrandbits(64) for _ in range(1)] + list(range(200))
    before = {key: ring.nearest(key, names) for key in keys}
    gone = data.draw(st.sampled_from(sorted(names)))
    ring.remove(gone)
    left = names - {gone}
    for key, owner in before.items():
        assert ring.nearest(key, left) == (owner if owner != gone else ring.nearest(key, left))
        assert owner == gone or ring.nearest(key, left) == owner


def test_names_that_went_take_no_room():
    ring = Ring()
    for number in range(300):
        ring.nearest(number, {f"b{number}", "stays"})
        ring.remove(f"b{number}")
    assert len(ring) == 1


def test_the_ring_shares_keys_among_its_names():
    ring = Ring()
    names = {f"b{n}" for n in range(8)}
    owned = Counter(ring.nearest(key, names) for key in range(20_000))
    assert set(owned) == names
    assert max(owned.values()) < 2 * 20_000 / 8


def fleet_of(count: int, config: RouterConfig) -> list[Place]:
    return [Place(Member(Scripted(f"b{n}"), config), ModelCard(name="m")) for n in range(count)]


class RoundRobin:
    turn = -1

    def choose(self, ask, places, now):
        self.turn += 1
        return places[self.turn % len(places)]


def multi_turn(policy, fleet: list[Place], seed: int, cached_blocks: int = 3000) -> float:
    """60 conversations of 8 turns, interleaved, three system prompts, twelve requests under way.

    Every member remembers the blocks it has read, like an engine with a prefix cache of `cached_blocks`.
    Returns the share of all prompt blocks that were there already.
    """
    draw = random.Random(seed)
    systems = [draw.randbytes(4 * BLOCK_BYTES) for _ in range(3)]
    talks = [[systems[n % 3]] for n in range(60)]
    order = [n for n in range(60) for _ in range(8)]
    draw.shuffle(order)
    held: dict[str, dict[int, None]] = {place.member.name: {} for place in fleet}
    under_way: list[Place] = []
    reused = total = 0
    for step, number in enumerate(order):
        talks[number].append(draw.randbytes(int(BLOCK_BYTES * (1 + 2 * draw.random()))))
        prefix = chain("m", b"".join(talks[number]))
        place = policy.choose(RouteAsk("m", prefix=prefix), fleet, float(step))
        cache = held[place.member.name]
        there = 0
        while there < len(prefix) and prefix[there] in cache:
            there += 1
        reused += there
        total += len(prefix)
        for block in prefix:
            cache.pop(block, None)
            cache[block] = None
        while len(cache) > cached_blocks:
            del cache[next(iter(cache))]
        place.member.outstanding += 1
        under_way.append(place)
        if len(under_way) > 12:
            under_way.pop(draw.randrange(len(under_way))).member.outstanding -= 1
    return reused / total


@pytest.mark.parametrize("cached_blocks", [200, 3000])
@pytest.mark.parametrize("seed", range(3))
def test_conversations_find_more_of_their_blocks_than_under_round_robin(seed, cached_blocks):
    config = RouterConfig(policy="prefix")
    ours = multi_turn(open_policy(config), fleet_of(6, config), seed, cached_blocks)
    theirs = multi_turn(RoundRobin(), fleet_of(6, config), seed, cached_blocks)
    assert ours > theirs + 0.15


@given(
    loads=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    prefix=st.lists(st.integers(0, 5), max_size=4),
)
def test_nobody_gets_more_than_its_bounded_share(loads, prefix):
    config = RouterConfig(policy="prefix", prefix_load=1.25)
    fleet = fleet_of(len(loads), config)
    policy = open_policy(config)
    for place, load in zip(fleet, loads, strict=True):
        place.member.outstanding = load
        policy.table.record(tuple(prefix), fleet[0].member.name, 0.0)
    chosen = policy.choose(RouteAsk("m", prefix=tuple(prefix)), fleet, 0.0)
    mean = (sum(loads) + 1) / len(loads)
    assert chosen.member.outstanding + 1 < 1.25 * mean + 1


def test_gateways_that_share_no_table_agree_on_new_conversations():
    config = RouterConfig(policy="prefix")
    draw = random.Random(2)
    one, other = open_policy(config), open_policy(config)
    first, second = fleet_of(5, config), fleet_of(5, config)
    chosen = Counter()
    for _ in range(100):
        ask = RouteAsk("m", prefix=chain("m", draw.randbytes(5 * BLOCK_BYTES)))
        name = one.choose(ask, first, 0.0).member.name
        assert other.choose(ask, second[::-1], 0.0).member.name == name
        chosen[name] += 1
    assert len(chosen) == 5


def test_conversations_that_share_a_system_prompt_are_spread():
    """One after the other, so that load gives no reason: their own blocks decide where they live."""
    config = RouterConfig(policy="prefix")
    draw = random.Random(4)
    policy, fleet = open_policy(config), fleet_of(4, config)
    system = draw.randbytes(4 * BLOCK_BYTES)
    homes = Counter()
    for _ in range(80):
        talk = system + draw.randbytes(6 * BLOCK_BYTES)
        home = policy.choose(RouteAsk("m", prefix=chain("m", talk)), fleet, 0.0)
        longer = chain("m", talk + draw.randbytes(3 * BLOCK_BYTES))
        assert policy.choose(RouteAsk("m", prefix=longer), fleet, 0.0) is home
        homes[home.member.name] += 1
    assert len(homes) == 4
    assert max(homes.values()) < 40
