from __future__ import annotations

import random

import pytest

np = pytest.importorskip("numpy")

from tenfold.data import minhash  # noqa: E402


def pair(chance: random.Random, shared: int, own: int):
    """Two sets of random hashes with a known Jaccard similarity shared / (shared + 2 own)."""
    values = [chance.getrandbits(64) for _ in range(shared + 2 * own)]
    left = np.array(sorted(values[: shared + own]), np.uint64)
    right = np.array(sorted(values[:shared] + values[shared + own :]), np.uint64)
    return left, right


def test_signatures_estimate_similarity_without_bias():
    """The estimator's standard error is sqrt(s (1 - s) / permutations) (Broder 1997)."""
    chance = random.Random(1)
    for shared, own in ((50, 100), (120, 40), (300, 15)):
        truth = shared / (shared + 2 * own)
        estimates = []
        for _ in range(150):
            both = minhash.signatures(pair(chance, shared, own))
            estimates.append(float((both[0] == both[1]).mean()))
        error = (truth * (1 - truth) / minhash.NUM_PERMUTATIONS) ** 0.5
        assert abs(np.mean(estimates) - truth) < 4 * error / 150**0.5
        assert 0.8 * error < np.std(estimates) < 1.2 * error


def test_texts_with_a_system_are_estimated_as_well_as_random_ones():
    """Weak permutations fail on structured values: 32-bit multipliers did."""
    shingler = minhash.Shingler()
    estimates = []
    for start in range(0, 300_000, 1000):
        left, right = (
            shingler.shingles(" ".join(map(str, range(first, first + 184))))
            for first in (start, start + 20)
        )
        both = minhash.signatures([left, right])
        estimates.append(float((both[0] == both[1]).mean()))
    error = (0.8 * 0.2 / minhash.NUM_PERMUTATIONS / len(estimates)) ** 0.5
    assert abs(np.mean(estimates) - 0.8) < 4 * error


def test_bands_meet_as_often_as_theory_says():
    chance = random.Random(2)
    for shared, own in ((80, 20), (180, 10), (60, 40)):
        truth = shared / (shared + 2 * own)
        met = 0
        for _ in range(300):
            left, right = minhash.signatures(pair(chance, shared, own))
            met += bool(set(minhash.bands(left)) & set(minhash.bands(right)))
        expected = 1 - (1 - truth**8) ** 14
        assert abs(met / 300 - expected) < 4 * (expected * (1 - expected) / 300) ** 0.5 + 0.005


def test_shingles_are_word_sequences_whatever_case_and_punctuation():
    shingler = minhash.Shingler()
    one = shingler.shingles("The quick, brown fox jumps over!")
    assert len(one) == 2
    assert (one == shingler.shingles("the quick brown FOX jumps over")).all()
    assert not set(one.tolist()) & set(shingler.shingles("quick the brown fox jumps").tolist())
    assert len(shingler.shingles("two words")) == len(shingler.shingles("")) == 1


def test_a_signature_does_not_depend_on_its_neighbours():
    chance = random.Random(3)
    sets = [pair(chance, 40, 20)[0] for _ in range(50)]
    together = minhash.signatures(sets)
    assert all(
        (minhash.signatures([each])[0] == row).all()
        for each, row in zip(sets, together, strict=True)
    )
