import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError
from tenfold.plan.popularity import Zipf, reuse_bound


@pytest.mark.parametrize("exponent", [0.0, 0.83, 2.0])
def test_expected_distinct_is_the_mean_over_every_possible_stream(exponent):
    law, num_requests = Zipf(4, exponent), 5
    mean = math.fsum(
        math.prod(law.probabilities[rank] for rank in stream) * len(set(stream))
        for stream in itertools.product(range(4), repeat=num_requests)
    )
    assert law.expected_distinct(num_requests) == pytest.approx(mean, rel=1e-12)


@given(st.integers(1, 500), st.floats(0, 4))
def test_probabilities_fall_as_the_law_says_and_sum_to_one(num_items, exponent):
    p = Zipf(num_items, exponent).probabilities
    assert math.fsum(p) == pytest.approx(1.0, abs=1e-12)
    last = num_items - 1
    assert p[0] / p[last] == pytest.approx(num_items**exponent, rel=1e-9)


def test_samples_follow_the_law():
    law, num_requests = Zipf(50, 1.0), 20_000
    ranks = law.sample(random.Random(3), num_requests)
    chi_squared = sum(
        (ranks.count(rank) - num_requests * p) ** 2 / (num_requests * p)
        for rank, p in enumerate(law.probabilities)
    )
    assert chi_squared < 85.35  # the 0.999 quantile of chi-squared with 49 degrees of freedom


@given(st.integers(1, 100), st.floats(0, 3), st.integers(1, 300), st.integers())
def test_no_unlimited_cache_beats_the_bound_of_a_stream(num_items, exponent, num_requests, seed):
    stream = Zipf(num_items, exponent).sample(random.Random(seed), num_requests)
    stored, hits = set(), 0
    for item in stream:
        hits += item in stored
        stored.add(item)
    assert hits / num_requests == pytest.approx(reuse_bound(stream))


def test_a_conversation_that_never_repeats_has_no_bound_to_speak_of():
    assert reuse_bound(range(1000)) == 0.0
    assert reuse_bound([]) == 0.0
    assert Zipf(1, 1.0).expected_reuse_bound(10) == pytest.approx(0.9)


@pytest.mark.parametrize("wrong", [(0, 1.0), (5, -1.0), (5, float("nan"))])
def test_impossible_laws_are_refused(wrong):
    with pytest.raises(ConfigError):
        Zipf(*wrong)
