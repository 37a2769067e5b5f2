from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError, UnknownName
from tenfold.serve.backends.base import ModelCard
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.config import POLICIES, MemberConfig, RouterConfig
from tenfold.serve.router.member import Member, Place
from tenfold.serve.router.policies.choice import open_policy

from .scripted import Scripted

ASK = RouteAsk("m")


def places(count: int, config: RouterConfig) -> list[Place]:
    return [
        Place(Member(Scripted(f"b{index}"), config), ModelCard(name="m")) for index in range(count)
    ]


def load(policy, fleet, num_requests: int, seed: int = 1, held: int = 24):
    """Send requests of random length; `held` are under way at once. Returns who got how many."""
    draw = random.Random(seed)
    under_way: list[Place] = []
    served: Counter[str] = Counter()
    worst = 0
    for step in range(num_requests):
        if len(under_way) >= held:
            under_way.pop(draw.randrange(len(under_way))).member.outstanding -= 1
        ask = RouteAsk("m", prefix=(draw.randrange(50),))
        free = [place for place in fleet if place.member.has_room(1)]
        place = policy.choose(ask, free, float(step))
        place.member.outstanding += 1
        place.member.answered(0.1 + 0.05 * draw.random(), float(step))
        under_way.append(place)
        served[place.member.name] += 1
        loads = [place.member.outstanding for place in fleet]
        worst = max(worst, max(loads) - min(loads))
    return served, worst


@pytest.mark.parametrize("name", POLICIES)
@given(
    count=st.integers(1, 9),
    outstanding=st.lists(st.integers(0, 300), min_size=9, max_size=9),
    seen=st.lists(st.floats(0, 100), min_size=9, max_size=9),
    now=st.floats(0, 1e7),
)
def test_whatever_the_figures_one_of_the_places_is_chosen(name, count, outstanding, seen, now):
    config = RouterConfig(policy=name, regions=("here",))
    fleet = places(count, config)
    for place, work, latency_s in zip(fleet, outstanding, seen, strict=False):
        place.member.outstanding = work
        place.member.answered(latency_s, 0.0)
    for prefix in ((), (1, 2, 3)):
        assert open_policy(config).choose(RouteAsk("m", prefix=prefix), fleet, now) in fleet


@pytest.mark.parametrize("name", POLICIES)
def test_nobody_starves_among_equals(name):
    """Members that differ in nothing all get work, under every policy."""
    config = RouterConfig(policy=name)
    served, _ = load(open_policy(config), places(6, config), 3000)
    assert len(served) == 6
    assert min(served.values()) > 3000 / 6 / 4


@pytest.mark.parametrize("held", [3, 24, 100])
def test_least_outstanding_keeps_members_level(held):
    config = RouterConfig()
    fleet = places(5, config)
    draw = random.Random(3)
    policy = open_policy(config)
    for _ in range(2000):
        loads = [place.member.outstanding for place in fleet]
        chosen = policy.choose(ASK, fleet, 0.0)
        assert chosen.member.outstanding == min(loads)
        chosen.member.outstanding += 1
        if sum(loads) >= held:
            busy = [place for place in fleet if place.member.outstanding]
            draw.choice(busy).member.outstanding -= 1


def test_an_idle_fleet_is_used_in_turn():
    config = RouterConfig()
    fleet = places(4, config)
    policy = open_policy(config)
    served = Counter(policy.choose(ASK, fleet, 0.0).member.name for _ in range(400))
    assert set(served.values()) == {100}


def test_two_choices_keep_the_longest_queue_short():
    """Mitzenmacher: n balls into n bins, the fullest has O(log log n) instead of O(log n / log log n)."""
    count = 2000
    draw = random.Random(5)
    config = RouterConfig(policy="power-of-two")
    fleet = places(count, config)
    policy = open_policy(config)
    one = Counter(draw.randrange(count) for _ in range(count))
    for _ in range(count):
        policy.choose(ASK, fleet, 0.0).member.outstanding += 1
    two = max(place.member.outstanding for place in fleet)
    assert two <= 4 < max(one.values())


def test_weighted_shares_are_exact_over_every_round():
    config = RouterConfig(
        policy="weighted",
        members={"b0": MemberConfig(weight=5), "b1": MemberConfig(weight=2)},
    )
    fleet = places(3, config)
    policy = open_policy(config)
    for _ in range(50):
        names = [policy.choose(ASK, fleet, 0.0).member.name for _ in range(8)]
        assert Counter(names) == {"b0": 5, "b1": 2, "b2": 1}
        assert names[:5] != ["b0"] * 5  # not bunched


def test_latency_prefers_the_fast_until_it_is_busy_and_forgives_the_slow():
    config = RouterConfig(policy="latency", latency_decay_s=10)
    slow, fast = fleet = places(2, config)
    policy = open_policy(config)
    slow.member.answered(2.0, 0.0)
    fast.member.answered(0.5, 0.0)
    assert {policy.choose(ASK, fleet, 1.0) for _ in range(9)} == {fast}
    fast.member.outstanding = 4  # 0.5 * 5 > 2 * 1
    assert policy.choose(ASK, fleet, 1.0) is slow
    fast.member.outstanding = 0
    for second in range(60):  # only the fast one is used, its figure stays
        fast.member.answered(0.5, float(second))
    assert policy.choose(ASK, fleet, 60.0) is slow


def test_a_peak_counts_at_once_and_fades():
    member = places(1, RouterConfig())[0].member
    for second in range(20):
        member.answered(0.1, float(second))
    member.answered(5.0, 20.0)
    assert member.latency_s == 5.0
    member.answered(0.1, 21.0)
    assert 1 < member.latency_s < 5


def test_a_member_without_a_sample_gets_one_request_to_make_one():
    config = RouterConfig(policy="latency")
    known, new = fleet = places(2, config)
    known.member.answered(0.1, 0.0)
    policy = open_policy(config)
    assert policy.choose(ASK, fleet, 0.0) is new
    new.member.outstanding = 1
    assert {policy.choose(ASK, fleet, 0.0) for _ in range(5)} == {known}


@pytest.mark.parametrize(
    ("settings", "best"),
    [
        ({"policy": "cost", "members": {"b1": MemberConfig(usd_per_token=1e-6)}}, 1),
        (
            {
                "policy": "joules",
                "members": {
                    "b0": MemberConfig(joules_per_token=3),
                    "b1": MemberConfig(joules_per_token=2),
                    "b2": MemberConfig(joules_per_token=0.5),
                },
            },
            2,
        ),
        (
            {
                "policy": "region",
                "regions": ("home", "near"),
                "members": {"b0": MemberConfig(region="near"), "b1": MemberConfig(region="home")},
            },
            1,
        ),
    ],
)
def test_the_best_comes_first_and_spills_over(settings, best):
    config = RouterConfig(max_outstanding=10, spill_share=0.8, **settings)
    fleet = places(3, config)
    policy = open_policy(config)
    for _ in range(8):
        chosen = policy.choose(ASK, fleet, 0.0)
        assert chosen is fleet[best]
        chosen.member.outstanding += 1
    assert policy.choose(ASK, fleet, 0.0) is not fleet[best]


def test_joules_as_measured_order_the_members():
    config = RouterConfig(policy="joules", members={"b0": MemberConfig(joules_per_token=1.0)})
    fleet = places(3, config)
    policy = open_policy(config)
    fleet[0].member.measured(1000, 10)  # the settings know better
    assert fleet[0].member.joules_per_token == 1.0
    fleet[1].member.measured(50, 10)
    assert fleet[1].member.joules_per_token == 5.0
    chosen = {policy.choose(ASK, fleet, 0.0).member.name for _ in range(10)}
    assert chosen == {"b0", "b2"}  # b2 must get work to be measured
    fleet[2].member.measured(2, 10)
    assert {policy.choose(ASK, fleet, 0.0).member.name for _ in range(10)} == {"b2"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_outstanding": 0},
        {"retry_share": 1.1},
        {"hedge_share": 0.6},
        {"hedge_quantile": 1.0},
        {"open_s": 0},
        {"open_s": 10, "max_open_s": 5},
        {"spill_share": 0},
        {"prefix_load": 1},
        {"prefix_entries": 1},
        {"first_part_timeout_s": 0},
        {"probe_interval_s": 0},
        {"max_wait_s": -1},
        {"max_wait_s": float("nan")},
        {"fallbacks": {"m": ("m",)}},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        RouterConfig(**wrong)


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(UnknownName):
        RouterConfig(policy="round-robin")
    with pytest.raises(UnknownName):
        RouterConfig(fallback_on=frozenset({"errors"}))
    with pytest.raises(ConfigError):
        MemberConfig(weight=0)
