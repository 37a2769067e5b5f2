"""Texts as sets of hashed word n-grams, and how much two such sets share.

Broder 1997, "On the resemblance and containment of documents". Five words are FineWeb's choice (Penedo et
al. 2024, section 3.4). Knows numbers; what a word is stands in `alphabet`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from tenfold.data.dedup.alphabet import alphabet
from tenfold.data.dedup.texts import Texts, mixed, next_words
from tenfold.errors import ConfigError

SHINGLE_WORDS = 5
BLOCK = 512
"""Words looked at together: their shingles and the signature stay in the innermost cache."""


class Sets(NamedTuple):
    """The sets of several texts, one after the other."""

    offsets: np.ndarray
    """int64 (num_texts + 1,)"""
    hashes: np.ndarray
    """uint64 (offsets[-1],): within a text sorted, and each once."""


def factors(words: int) -> np.ndarray:
    """Odd 64-bit multipliers, one for each place in a shingle, uint64 (words,)."""
    if words < 1:
        raise ConfigError("a shingle has at least one word", seen=words)
    return odd_constants(0x5EED, words)


def odd_constants(start: int, count: int) -> np.ndarray:
    """`count` well spread odd numbers, uint64: SplitMix64 from state `start`."""
    return _spread(np.uint64(start), count) | np.uint64(1)


@numba.njit(cache=True)
def _spread(start, count):  # type: ignore[no-untyped-def]
    out = np.empty(count, np.uint64)
    for place in range(count):
        out[place] = mixed((start + np.uint64(place + 1)) * np.uint64(0x9E3779B97F4A7C15))
    return out


@numba.njit(cache=True)
def next_shingles(  # type: ignore[no-untyped-def]
    data, place, end, kinds, lower, factors, words, carried, out
):
    """The next block of a text's shingle hashes, in out[:count]. `words` (uint64, BLOCK + n) holds in its
    first `carried` places the words that the block before ended with.

    Returns (count, place to go on from, number of words carried on). A text of fewer words than a shingle
    has is one shingle; a text without words has none."""
    width = factors.size
    first_block = carried == 0
    filled, place = next_words(data, place, end, kinds, lower, words, carried)
    if filled == carried and not first_block:
        return 0, place, filled
    if filled < width:
        if filled == 0:
            return 0, place, 0
        total = np.uint64(0)
        for at in range(filled):
            total += words[at] * factors[at]
        out[0] = mixed(total)
        return 1, end, filled
    count = filled - width + 1
    for at in range(count):
        total = np.uint64(0)
        for step in range(width):
            total += words[at + step] * factors[step]
        out[at] = mixed(total)
    for at in range(width - 1):
        words[at] = words[count + at]
    return count, place, width - 1


@numba.njit(cache=True)
def _sets(data, offsets, kinds, lower, factors):  # type: ignore[no-untyped-def]
    words = np.empty(BLOCK + factors.size, np.uint64)
    block = np.empty(BLOCK + factors.size, np.uint64)
    # A word and what parts it from the next are two bytes at least, or it is a sign of three.
    hashes = np.empty((offsets[-1] - offsets[0]) // 8 + 1024, np.uint64)
    ends = np.zeros(offsets.size, np.int64)
    filled = 0
    for row in range(offsets.size - 1):
        place, end, carried, start = offsets[row], offsets[row + 1], 0, filled
        while True:
            count, place, carried = next_shingles(
                data, place, end, kinds, lower, factors, words, carried, block
            )
            if filled + count > hashes.size:
                larger = np.empty(2 * hashes.size + count, np.uint64)
                larger[:filled] = hashes[:filled]
                hashes = larger
            hashes[filled : filled + count] = block[:count]
            filled += count
            if place >= end:
                break
        part = np.sort(hashes[start:filled])
        filled = start
        for at in range(part.size):
            if at == 0 or part[at] != part[at - 1]:
                hashes[filled] = part[at]
                filled += 1
        ends[row + 1] = filled
    return ends, hashes[:filled].copy()


def shingle_sets(texts: Texts, words: int = SHINGLE_WORDS) -> Sets:
    """Each text's set of shingle hashes; `words` of a shingle, 1 or more."""
    return Sets(*_sets(*texts, *alphabet(), factors(words)))


@numba.njit(cache=True)
def _jaccard(offsets, hashes, left, right, at_least, out):  # type: ignore[no-untyped-def]
    for pair in range(left.size):
        i, last_i = offsets[left[pair]], offsets[left[pair] + 1]
        j, last_j = offsets[right[pair]], offsets[right[pair] + 1]
        total = (last_i - i) + (last_j - j)
        # |A and B| >= t |A or B|, and |A or B| = |A| + |B| - |A and B|.
        needed = at_least * total / (1.0 + at_least)
        shared = np.int64(0)
        while i < last_i and j < last_j:
            if shared + min(last_i - i, last_j - j) < needed - 1e-6:
                shared = np.int64(-1)
                break
            a, b = hashes[i], hashes[j]
            if a == b:
                shared += 1
                i += 1
                j += 1
            elif a < b:
                i += 1
            else:
                j += 1
        out[pair] = 0.0 if shared <= 0 else shared / (total - shared)


def jaccard(sets: Sets, left: np.ndarray, right: np.ndarray, at_least: float = 0.0) -> np.ndarray:
    """Shared / all shingles of each pair of sets, float64 (num_pairs,).

    A pair that falls short of `at_least` may be given as 0 without having been followed to its end.
    Sets without a member share nothing: 0, also with each other."""
    out = np.empty(len(left), np.float64)
    _jaccard(*sets, np.ascontiguousarray(left), np.ascontiguousarray(right), at_least, out)
    return out


@numba.njit(cache=True)
def _word_counts(data, offsets, kinds, lower, out):  # type: ignore[no-untyped-def]
    words = np.empty(BLOCK, np.uint64)
    for row in range(offsets.size - 1):
        place, end = offsets[row], offsets[row + 1]
        while place < end:
            count, place = next_words(data, place, end, kinds, lower, words, 0)
            out[row] += count


def word_counts(texts: Texts) -> np.ndarray:
    """How many words each text has, int64 (num_texts,)."""
    out = np.zeros(len(texts.offsets) - 1, np.int64)
    _word_counts(*texts, *alphabet(), out)
    return out
