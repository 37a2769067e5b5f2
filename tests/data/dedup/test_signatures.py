"""The estimator's error is theory's, and bands meet as often as theory says."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from tenfold.data.dedup.bands import bands, candidates, chance_found
from tenfold.data.dedup.shingles import jaccard, shingle_sets
from tenfold.data.dedup.signatures import (
    NO_SHINGLES,
    PERMUTATIONS,
    agreement,
    least_agreement,
    signatures,
)
from tenfold.data.dedup.texts import texts_of
from tenfold.errors import ConfigError


def pairs(shared: int, own: int, count: int, *, ordered: bool = False):
    """Texts of single-word shingles, two by two, with Jaccard similarity shared / (shared + 2 own).
    `ordered`: their words are consecutive numbers, a structure that weak permutations fail on."""
    chance = random.Random(f"{shared} {own} {ordered}")
    texts = []
    for number in range(count):
        size = shared + 2 * own
        words = (
            [f"{number * 100_000 + at}" for at in range(size)]
            if ordered
            else [f"{chance.getrandbits(64):x}" for _ in range(size)]
        )
        texts += [" ".join(words[: shared + own]), " ".join(words[:shared] + words[shared + own :])]
    return texts_of(pa.array(texts)), shared / (shared + 2 * own)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("shared", "own"), [(50, 100), (120, 40), (160, 20), (300, 15)])
def test_the_error_of_the_estimate_is_that_of_independent_permutations(shared, own, ordered):
    """No bias, and a standard error of sqrt(J (1 - J) / permutations) (Broder 1997)."""
    count = 600
    texts, truth = pairs(shared, own, count, ordered=ordered)
    left = np.arange(0, 2 * count, 2)
    assert jaccard(shingle_sets(texts, 1), left, left + 1) == pytest.approx(truth)
    found = agreement(signatures(texts, words=1), left, left + 1)
    error = (truth * (1 - truth) / PERMUTATIONS) ** 0.5
    assert abs(found.mean() - truth) < 4 * error / count**0.5
    assert 0.88 * error < found.std() < 1.12 * error


def test_permutations_are_independent_of_each_other():
    """Agreement in one place says nothing about another: correlated ones would find less (trap of 32 bits)."""
    texts, _ = pairs(100, 50, 1500)
    signed = signatures(texts, words=1)
    equal = (signed[0::2] == signed[1::2]).astype(float)
    correlation = np.corrcoef(equal.T)[np.triu_indices(PERMUTATIONS, 1)]
    # 6,216 coefficients of standard error 1/sqrt(1500).
    assert abs(correlation.mean()) < 0.002
    assert np.abs(correlation).max() < 5.5 / 1500**0.5


@pytest.mark.parametrize(("num_bands", "rows"), [(14, 8), (22, 5)])
@pytest.mark.parametrize(("shared", "own"), [(60, 40), (80, 20), (160, 20)])
def test_bands_meet_as_often_as_theory_says(shared, own, num_bands, rows):
    count = 800
    texts, truth = pairs(shared, own, count)
    signed = signatures(texts, words=1)
    found = candidates(bands(signed, np.arange(2 * count), num_bands=num_bands, rows=rows))
    met = len(set(zip(found.left.tolist(), found.right.tolist(), strict=True)))
    expected = chance_found(truth, num_bands=num_bands, rows=rows)
    assert abs(met / count - expected) < 4 * (expected * (1 - expected) / count) ** 0.5 + 0.003


def test_what_the_estimate_rules_out_is_truly_unlike():
    texts, truth = pairs(160, 20, 3000)
    left = np.arange(0, 6000, 2)
    found = agreement(signatures(texts, words=1), left, left + 1)
    assert (found >= least_agreement(truth, PERMUTATIONS)).all()


def test_repeated_shingles_and_their_order_do_not_matter():
    texts = texts_of(pa.array(["a b c d", "d c b a a b c d d", ""]))
    signed = signatures(texts, words=1)
    assert (signed[0] == signed[1]).all()
    assert (signed[2] == NO_SHINGLES).all()
    assert (signatures(texts, words=1, permutations=20) == signed[:, :20]).all()


def test_bands_need_their_permutations():
    with pytest.raises(ConfigError, match="permutations"):
        bands(np.zeros((1, 112), np.uint64), np.arange(1), num_bands=23)
