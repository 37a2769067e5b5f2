import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import UsageError
from tenfold.govern.interval import at_most, clustered_share, wilson


@given(st.integers(1, 2000), st.floats(0, 1))
def test_wilson_solves_the_equation_it_comes_from(num, part):
    """Wilson's ends are the shares p for which the observed share is z standard errors away."""
    successes = round(num * part)
    low, high = wilson(successes, num)
    assert 0 <= low <= successes / num <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            deviation = abs(successes / num - end)
            assert deviation == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / num), rel=1e-5)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0.5, 0.999))
def test_the_upper_bound_leaves_just_the_stated_doubt(num, part, confidence):
    successes = min(num - 1, round(num * part))
    bound = at_most(successes, num, confidence)
    doubt = sum(
        math.comb(num, k) * bound**k * (1 - bound) ** (num - k) for k in range(successes + 1)
    )
    assert doubt == pytest.approx(1 - confidence, rel=1e-6)


def test_none_of_n_is_the_rule_of_three():
    assert at_most(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert at_most(5, 5) == 1.0


def test_independent_comparisons_keep_their_number_and_copies_do_not_add_to_it():
    draws = random.Random(1)
    wins = [float(draws.random() < 0.6) for _ in range(200)]
    alone = clustered_share({str(n): [win] for n, win in enumerate(wins)})
    copied = clustered_share({str(n): [win] * 10 for n, win in enumerate(wins)})
    assert alone.effective == pytest.approx(200, rel=0.02)
    assert copied.num == 2000
    assert copied.effective == pytest.approx(200, rel=0.02)
    assert copied.low == pytest.approx(alone.low, abs=1e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says_when_clusters_hang_together():
    draws, held = random.Random(2), 0
    for _ in range(400):
        clusters = {}
        for number in range(25):
            lean = draws.betavariate(2, 2)  # mean 0.5: words that hang together
            clusters[str(number)] = [float(draws.random() < lean) for _ in range(8)]
        share = clustered_share(clusters)
        held += share.low <= 0.5 <= share.high
    assert 0.91 <= held / 400 <= 0.99


def test_when_all_came_out_alike_only_the_clusters_count():
    share = clustered_share({"a": [1.0] * 50, "b": [1.0] * 50})
    assert share.high == 1.0
    assert share.low < 0.5
    assert share.gap[1] == 0.0


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(UsageError):
        wilson(*wrong)
    with pytest.raises(UsageError):
        at_most(*wrong)
