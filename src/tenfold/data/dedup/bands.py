"""Which documents are worth comparing: those whose signatures agree in a whole band.

Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.4: `b` bands of `r` rows find a pair of
similarity s with probability 1 - (1 - s^r)^b. Every pair is verified afterwards, so bands are many and
short here: 22 of 5 find 0.9998 of the pairs at 0.8, where FineWeb's 14 of 8 find 0.92. A bucket gives a
bounded number of pairs for each of its members, however many they are. Knows numbers, not documents.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from tenfold.data.dedup.signatures import NO_SHINGLES
from tenfold.data.dedup.texts import mixed
from tenfold.errors import ConfigError

BANDS = 22
ROWS = 5
SMALL = 48
"""Buckets of at most so many members are compared pair by pair."""
WINDOW = 6
"""In larger ones: with the best member, and with so many that follow in the order of the next minimum."""


class Bands(NamedTuple):
    """One entry for each band of each document: equal keys are one bucket. All of length num_entries.

    To share the work, send entries of equal `key % partitions` to the same place."""

    band: np.ndarray
    """uint16"""
    key: np.ndarray
    """uint64, different for different bands"""
    row: np.ndarray
    """int64: the document, as a rank: 0 is the one that would be kept of all"""
    order: np.ndarray
    """uint64: a minimum from outside of the band; near duplicates in a large bucket agree in it too"""


class Pairs(NamedTuple):
    """Pairs worth comparing, each once, in ascending order."""

    left: np.ndarray
    """int64: the better rank"""
    right: np.ndarray
    """int64"""
    num_large: int
    """Buckets too large to be compared pair by pair."""


@numba.njit(cache=True)
def _keys(signed, band, rows, out):  # type: ignore[no-untyped-def]
    for row in range(signed.shape[0]):
        value = mixed(np.uint64(band + 1))
        for place in range(band * rows, (band + 1) * rows):
            value = mixed(value ^ signed[row, place]) + np.uint64(0x9E3779B97F4A7C15)
        out[row] = value


def bands(
    signed: np.ndarray,
    ranks: np.ndarray,
    *,
    num_bands: int = BANDS,
    rows: int = ROWS,
    only: int | None = None,
) -> Bands:
    """The buckets of signatures (uint64 (num_documents, permutations)) of documents with these ranks.

    `only`: of this one band. Documents without shingles are in no bucket. Raises ConfigError where the
    signatures have fewer permutations than the bands need."""
    if num_bands < 1 or rows < 1 or num_bands * rows > signed.shape[1]:
        raise ConfigError(
            "bands need num_bands x rows permutations",
            seen=f"{num_bands} x {rows} of {signed.shape[1]}",
        )
    with_words = signed[:, 0] != NO_SHINGLES
    if not with_words.all():
        signed, ranks = signed[with_words], ranks[with_words]
    wanted = range(num_bands) if only is None else (only,)
    keys = np.empty((len(wanted), len(signed)), np.uint64)
    order = np.empty_like(keys)
    for at, band in enumerate(wanted):
        _keys(signed, band, rows, keys[at])
        order[at] = signed[:, (band + 1) * rows % signed.shape[1]]
    return Bands(
        np.repeat(np.array(wanted, np.uint16), len(signed)),
        keys.ravel(),
        np.tile(np.asarray(ranks, np.int64), len(wanted)),
        order.ravel(),
    )


@numba.njit(cache=True)
def _pairs(starts, ends, row, small, window):  # type: ignore[no-untyped-def]
    count = 0
    for bucket in range(starts.size):
        size = ends[bucket] - starts[bucket]
        count += size * (size - 1) // 2 if size <= small else size * (window + 1)
    left, right = np.empty(count, np.int64), np.empty(count, np.int64)
    filled = 0
    for bucket in range(starts.size):
        start, end = starts[bucket], ends[bucket]
        best = row[start]
        wide = end - start <= small
        for at in range(start, end):
            best = min(best, row[at])
            last = end if wide else min(end, at + 1 + window)
            for other in range(at + 1, last):
                left[filled] = min(row[at], row[other])
                right[filled] = max(row[at], row[other])
                filled += 1
        if not wide:
            for at in range(start, end):
                if row[at] != best:
                    left[filled], right[filled] = best, row[at]
                    filled += 1
    return left[:filled], right[:filled]


def candidates(buckets: Bands, *, small: int = SMALL, window: int = WINDOW) -> Pairs:
    """All pairs of small buckets; of large ones at most `window` + 1 pairs for each member.

    The same pairs whatever the order of the entries and however they were partitioned by key."""
    by_key = np.lexsort((buckets.row, buckets.key)) if len(buckets.key) else np.zeros(0, np.int64)
    key, row = buckets.key[by_key], buckets.row[by_key]
    edge = np.flatnonzero(key[1:] != key[:-1]) + 1 if len(key) else np.zeros(0, np.int64)
    starts = np.concatenate(([0], edge)) if len(key) else edge
    ends = np.concatenate((edge, [len(key)])) if len(key) else edge
    several = ends - starts > 1
    starts, ends = starts[several], ends[several]
    large = np.flatnonzero(ends - starts > small)
    for bucket in large:
        part = slice(starts[bucket], ends[bucket])
        members = by_key[part]
        row[part] = row[part][np.lexsort((buckets.row[members], buckets.order[members]))]
    left, right = _pairs(starts, ends, row, small, window)
    return Pairs(*distinct(left, right), len(large))


def distinct(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, in ascending order; a document is no pair with itself."""
    other = left != right
    left, right = left[other], right[other]
    if not len(left):
        return left.astype(np.int64), right.astype(np.int64)
    if max(left.max(), right.max()) < 2**32:
        packed = np.unique(left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64))
        return (
            (packed >> np.uint64(32)).astype(np.int64),
            (packed & np.uint64(2**32 - 1)).astype(np.int64),
        )
    both = np.unique(np.stack((left, right), 1), axis=0)
    return both[:, 0], both[:, 1]


def chance_found(similarity: float, *, num_bands: int = BANDS, rows: int = ROWS) -> float:
    """How likely a pair of this Jaccard similarity meets in at least one band."""
    return 1 - (1 - similarity**rows) ** num_bands
