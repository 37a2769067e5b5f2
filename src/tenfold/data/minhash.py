"""MinHash: short signatures whose agreement estimates how much two texts share.

Broder 1997, "On the resemblance and containment of documents"; banding as in Leskovec, Rajaraman & Ullman,
"Mining of Massive Datasets", section 3.4. The parameters are FineWeb's (Penedo et al. 2024, section 3.4):
shingles of 5 words, 112 permutations in 14 bands of 8, which finds a pair of similarity s with probability
1 - (1 - s^8)^14: 0.92 at 0.8, 0.9997 at 0.9. Knows texts and numbers, not documents. Needs numpy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenfold.need import need

if TYPE_CHECKING:
    import numpy as np

NUM_BANDS = 14
BAND_ROWS = 8
SHINGLE_WORDS = 5
NUM_PERMUTATIONS = NUM_BANDS * BAND_ROWS

_WORD = re.compile(r"\w+")
_BLOCK = 1 << 18  # shingles hashed at a time: 2 MB per permutation stay in the cache


class Shingler:
    """Texts as sets of 64-bit shingle hashes. Remembers words, so that each is hashed once."""

    def __init__(self) -> None:
        self._np = need("numpy", extra="train", why="to find near duplicates")
        self._words: dict[str, int] = {}
        self._factors = [mix(0x5EED + place) | 1 for place in range(SHINGLE_WORDS)]

    def shingles(self, text: str) -> np.ndarray:
        """Sorted unique hashes, uint64 (num_shingles,). A text of fewer than 5 words is one shingle."""
        np = self._np
        words = _WORD.findall(text.lower())
        known = self._words
        for word in words:
            if word not in known:
                known[word] = int.from_bytes(
                    hashlib.blake2b(word.encode(), digest_size=8).digest(), "little"
                )
        hashes = np.fromiter((known[word] for word in words), np.uint64, len(words))
        width = min(SHINGLE_WORDS, len(words))
        total = np.zeros(max(len(words) - width + 1, 1), np.uint64)
        for place in range(width):
            total += hashes[place : place + len(total)] * np.uint64(self._factors[place])
        return np.unique(_mix_array(np, total))


def signatures(sets: Sequence[np.ndarray]) -> np.ndarray:
    """One MinHash signature per set of shingle hashes: uint64 (num_sets, 112).

    Permutations are x -> a*x + b modulo 2^64 with odd a; only the high bits decide a minimum, and those
    of a 64-bit product are well mixed (32-bit multipliers gave correlated permutations).
    """
    np = need("numpy", extra="train", why="to find near duplicates")
    result = np.empty((len(sets), NUM_PERMUTATIONS), np.uint64)
    factors = [np.uint64(mix(2 * place) | 1) for place in range(NUM_PERMUTATIONS)]
    offsets = [np.uint64(mix(2 * place + 1)) for place in range(NUM_PERMUTATIONS)]
    first = 0
    while first < len(sets):
        last, num_shingles = first, 0
        while last < len(sets) and (num_shingles < _BLOCK or last == first):
            num_shingles += len(sets[last])
            last += 1
        block = np.concatenate(sets[first:last])
        lengths = np.array([len(each) for each in sets[first:last]])
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        for place in range(NUM_PERMUTATIONS):
            result[first:last, place] = np.minimum.reduceat(
                block * factors[place] + offsets[place], starts
            )
        first = last
    return result


def bands(signature: np.ndarray) -> list[tuple[int, bytes]]:
    """The 14 bucket names of one signature: two texts that share one are worth comparing."""
    data = signature.tobytes()
    width = BAND_ROWS * 8
    return [(band, data[band * width : (band + 1) * width]) for band in range(NUM_BANDS)]


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Exact similarity of two sets of shingle hashes: shared / all."""
    np = need("numpy", extra="train", why="to find near duplicates")
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def mix(value: int) -> int:
    """SplitMix64's output function (Steele, Lea & Flood 2014): fixed, well spread 64-bit constants."""
    value = (value + 1) * 0x9E3779B97F4A7C15 % 2**64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return value ^ (value >> 31)


def _mix_array(np, values):  # type: ignore[no-untyped-def]
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
