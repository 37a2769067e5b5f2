"""Against scipy's DCT, and against turning the pixels themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from tenfold.data.images import nearby, phash

RANDOM = np.random.default_rng(3)
LUMA = RANDOM.uniform(0, 255, (20, 48, 48)).astype(np.float32)


def test_coefficients_are_those_of_scipy():
    reference = dctn(LUMA.astype(np.float64), axes=(1, 2))[:, :8, :8]
    assert np.allclose(phash.coefficients(LUMA), reference, rtol=1e-4, atol=1)


def test_the_hash_is_the_published_rule_over_scipys_coefficients():
    reference = dctn(LUMA.astype(np.float64), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    for found, row in zip(phash.hashes(LUMA), reference, strict=True):
        middle = np.median(row)
        for bit, value in zip(f"{int(found):064b}", row, strict=True):
            # Next to the median the last digits of single precision decide.
            assert (bit == "1") == (value > middle) or abs(value - middle) < 1


@pytest.mark.parametrize("way", range(phash.ORIENTATIONS))
def test_turning_coefficients_is_turning_pixels(way):
    turned = np.stack([phash.oriented_pixels(image, way) for image in LUMA])
    assert np.allclose(
        phash.oriented(phash.coefficients(LUMA), way), phash.coefficients(turned), rtol=1e-4, atol=1
    )


def test_the_orientations_are_all_eight():
    seen = {phash.oriented_pixels(LUMA[0], way).tobytes() for way in range(8)}
    quarter = [np.rot90(LUMA[0], k) for k in range(4)]
    assert seen == {
        np.ascontiguousarray(image).tobytes() for turn in quarter for image in (turn, turn[:, ::-1])
    }


def test_the_first_queries_are_the_orientations_themselves():
    columns = phash.query_hashes(LUMA)[:, :8]
    for way in range(8):
        turned = np.stack([phash.oriented_pixels(image, way) for image in LUMA])
        # A coefficient that lies on the median may fall to either side with another order of sums.
        distance = np.bitwise_count(columns[:, way] ^ phash.hashes(turned))
        assert distance.max() <= 2


def brute(kept, queries, radius):
    distance = np.bitwise_count(queries[:, :, None] ^ kept[None, None, :])
    found = {}
    for row in range(len(kept)):
        for other in range(len(kept)):
            nearest = int(distance[row, :, other].min())
            if row != other and nearest <= radius:
                pair = (min(row, other), max(row, other))
                found[pair] = min(found.get(pair, 64), nearest)
    return found


def planted(count, seed):
    random = np.random.default_rng(seed)
    words = random.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(1, count, 2):
        flips = random.choice(64, size=random.integers(0, 12), replace=False)
        words[row] = words[row - 1]
        for bit in flips:
            words[row] ^= np.uint64(1) << np.uint64(bit)
    return words


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_within_seven_bits_nothing_is_missed(seed):
    kept = planted(400, seed)
    queries = np.stack([kept, np.random.default_rng(seed + 9).permutation(kept)], axis=1)
    expected = brute(kept, queries, 7)
    assert expected
    found = {(low, high): bits for low, high, _, bits in nearby.pairs(kept, queries, 7).tolist()}
    assert found == expected


def test_beyond_seven_bits_only_true_neighbours_are_given():
    kept = planted(400, 5)
    expected = brute(kept, kept[:, None], 12)
    found = {
        (low, high): bits for low, high, _, bits in nearby.pairs(kept, kept[:, None], 12).tolist()
    }
    assert found.items() <= expected.items()
    assert {pair for pair, bits in expected.items() if bits <= 7} <= found.keys()


def test_the_query_column_says_which_row_was_looked_at():
    kept = planted(100, 6)
    queries = np.stack([~kept, kept], axis=1)
    for low, high, column, bits in nearby.pairs(kept, queries, 10).tolist():
        looker, seen = (low, high) if column >= 0 else (high, low)
        column = column if column >= 0 else -1 - column
        assert int(np.bitwise_count(queries[looker, column] ^ kept[seen])) == bits


def test_more_neighbours_than_room_was_made_for():
    kept = np.full(200, 0xDEADBEEF, dtype=np.uint64)
    assert len(nearby.pairs(kept, kept[:, None], 4)) == 200 * 199 // 2


def test_nothing_to_compare():
    none = np.empty(0, np.uint64)
    assert nearby.pairs(none, none[:, None], 8).shape == (0, 4)
