"""MinHash signatures, from Arrow's bytes in one pass: words, shingles, hashes, minima.

Broder 1997. The share of equal places of two signatures estimates the Jaccard similarity of their
shingle sets with a variance of J (1 - J) / permutations. Permutations are x -> a x + b modulo 2^64 with odd
a: a bijection, of which only the well mixed high bits decide a minimum (32-bit multipliers gave
correlated permutations). Knows nothing of bands.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.dedup.alphabet import alphabet
from tenfold.data.dedup.shingles import (
    BLOCK,
    SHINGLE_WORDS,
    factors,
    next_shingles,
    odd_constants,
)
from tenfold.data.dedup.texts import Texts

PERMUTATIONS = 112
"""As many as FineWeb's 14 bands of 8 (Penedo et al. 2024, section 3.4), so that costs compare."""
NO_SHINGLES = np.uint64(2**64 - 1)
"""Stands in every place of the signature of a text without words."""


@numba.njit(cache=True)
def _signatures(data, offsets, kinds, lower, factors, scales, shifts, out):  # type: ignore[no-untyped-def]
    words = np.empty(BLOCK + factors.size, np.uint64)
    block = np.empty(BLOCK + factors.size, np.uint64)
    for row in range(offsets.size - 1):
        place, end, carried = offsets[row], offsets[row + 1], 0
        minima = out[row]
        while True:
            count, place, carried = next_shingles(
                data, place, end, kinds, lower, factors, words, carried, block
            )
            for permutation in range(scales.size):
                scale, shift = scales[permutation], shifts[permutation]
                least = minima[permutation]
                for at in range(count):
                    least = min(least, block[at] * scale + shift)
                minima[permutation] = least
            if place >= end:
                break


def signatures(
    texts: Texts, *, permutations: int = PERMUTATIONS, words: int = SHINGLE_WORDS
) -> np.ndarray:
    """uint64 (num_texts, permutations). The first n of more permutations are the same as n."""
    out = np.full((len(texts.offsets) - 1, permutations), NO_SHINGLES, np.uint64)
    scales, shifts = odd_constants(1, permutations), odd_constants(2**32, permutations)
    _signatures(*texts, *alphabet(), factors(words), scales, shifts, out)
    return out


@numba.njit(cache=True)
def _agreement(left_signatures, right_signatures, left, right, out):  # type: ignore[no-untyped-def]
    width = left_signatures.shape[1]
    for pair in range(left.size):
        a, b = left_signatures[left[pair]], right_signatures[right[pair]]
        equal = np.int64(0)
        for place in range(width):
            equal += a[place] == b[place]
        out[pair] = equal / width


def agreement(signed: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The estimate of each pair's Jaccard similarity, float64 (num_pairs,)."""
    out = np.empty(len(left), np.float64)
    _agreement(signed, signed, np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def least_agreement(similarity: float, permutations: int) -> float:
    """What a pair of at least this Jaccard similarity agrees in, but for one in three million (5 sigma)."""
    sigma = (similarity * (1 - similarity) / permutations) ** 0.5
    return max(0.0, similarity - 5 * sigma - 1 / permutations)
