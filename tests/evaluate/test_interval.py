from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from tenfold.evaluate.interval import ratio_of_sums  # noqa: E402


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """200 experiments from a known source: 95 % of the intervals hold its mean (90 to 99 here)."""
    chance = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        tokens = chance.integers(5, 200, 80)
        nats = tokens * chance.normal(2.0, 0.5, 80)
        found = ratio_of_sums(nats, tokens, seed=seed, rounds=300)
        covered += found.low <= 2.0 <= found.high
    assert 180 <= covered <= 198


def test_documents_of_any_number():
    one = ratio_of_sums([3.0], [2.0], seed=1)
    assert (one.value, one.low, one.high) == (1.5, 1.5, 1.5)
    same = ratio_of_sums([2.0, 4.0], [1.0, 2.0], seed=1)
    assert (same.value, same.low, same.high) == (2, 2, 2)


def test_the_same_seed_draws_the_same():
    nats, tokens = [1.0, 5.0, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0]
    assert ratio_of_sums(nats, tokens, seed=3) == ratio_of_sums(nats, tokens, seed=3)
    assert ratio_of_sums(nats, tokens, seed=3, rounds=50) != ratio_of_sums(
        nats, tokens, seed=4, rounds=50
    )
