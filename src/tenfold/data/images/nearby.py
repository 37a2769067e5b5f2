"""Which 64-bit hashes lie near each other, without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet 2012): a hash is cut into four bands of 16 bits; two hashes that
differ in at most 7 bits agree in one band up to a single bit. So a query looks into 4 x 17 buckets instead
of at everything. Pairs further apart, up to the radius, are found when their bits fall well, most often.
Knows hashes only.
"""

from __future__ import annotations

import numba
import numpy as np

BANDS = 4
BAND_BITS = 16
_BUCKETS = 1 << BAND_BITS


def pairs(kept: np.ndarray, queries: np.ndarray, radius: int) -> np.ndarray:
    """Pairs of rows whose hashes are near: int64, m x 4, (low row, high row, query column, bits that differ).

    `kept`: n hashes; `queries`: n x q further hashes of the same rows. A pair is near when any query hash of
    one row differs from the kept hash of the other in at most `radius` bits; the nearest is given, with the
    row whose query it was in the sign: the column is -1 - c where the low row was the one kept.
    Sorted by rows.
    """
    kept = np.ascontiguousarray(kept, dtype=np.uint64)
    queries = np.ascontiguousarray(queries, dtype=np.uint64)
    starts, rows = _buckets(kept)
    found = np.empty((max(16, 8 * len(kept)), 4), dtype=np.int64)
    best = np.full(len(kept), 255, dtype=np.uint8)
    column = np.zeros(len(kept), dtype=np.int16)
    touched = np.empty(len(kept), dtype=np.int64)
    first, count = 0, 0
    while first < len(kept):
        first, count = _search(
            kept, queries, starts, rows, radius, first, count, found, best, column, touched
        )
        if first < len(kept):
            found = np.concatenate([found, np.empty_like(found)])
    found = found[:count]
    # Each pair may have come from both sides: the nearer one stays, the lower query column at equal distance.
    order = np.lexsort((found[:, 2], found[:, 3], found[:, 1], found[:, 0]))
    found = found[order]
    first_of_pair = np.ones(len(found), dtype=bool)
    first_of_pair[1:] = (found[1:, :2] != found[:-1, :2]).any(axis=1)
    return found[first_of_pair]


def _buckets(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per band: where each bucket starts in the rows sorted by bucket."""
    starts = np.zeros((BANDS, _BUCKETS + 1), dtype=np.int64)
    rows = np.empty((BANDS, len(kept)), dtype=np.int64)
    for band in range(BANDS):
        keys = ((kept >> np.uint64(band * BAND_BITS)) & np.uint64(_BUCKETS - 1)).astype(np.int64)
        rows[band] = np.argsort(keys, kind="stable")
        starts[band, 1:] = np.cumsum(np.bincount(keys, minlength=_BUCKETS))
    return starts, rows


@numba.njit(cache=True)
def _bits(word):  # type: ignore[no-untyped-def]
    """How many bits are set (Warren, Hacker's Delight, 5-1)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True)
def _search(  # type: ignore[no-untyped-def]
    kept, queries, starts, rows, radius, first, count, found, best, column, touched
):
    """Fill `found` from row `first` on. Returns the row to go on from (when it is full) and the count."""
    mask = np.uint64(_BUCKETS - 1)
    for row in range(first, len(kept)):
        num_touched = 0
        for c in range(queries.shape[1]):
            query = queries[row, c]
            for band in range(BANDS):
                key = np.int64((query >> np.uint64(band * BAND_BITS)) & mask)
                for flip in range(-1, BAND_BITS):
                    bucket = key if flip < 0 else key ^ (1 << flip)
                    for at in range(starts[band, bucket], starts[band, bucket + 1]):
                        other = rows[band, at]
                        if other == row:
                            continue
                        distance = _bits(query ^ kept[other])
                        if distance <= radius and distance < best[other]:
                            if best[other] == 255:
                                touched[num_touched] = other
                                num_touched += 1
                            best[other] = distance
                            column[other] = c
        full = count + num_touched > len(found)
        for t in range(num_touched):
            other = touched[t]
            if not full:
                if row < other:
                    found[count, 0], found[count, 1], found[count, 2] = row, other, column[other]
                else:
                    found[count, 0], found[count, 1] = other, row
                    found[count, 2] = -1 - column[other]
                found[count, 3] = best[other]
                count += 1
            best[other] = 255
        if full:
            return row, count
    return len(kept), count
