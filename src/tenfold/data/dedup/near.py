"""Near duplicates: candidates by bands, verified by the exact Jaccard similarity of shingle sets.

What is found is right by construction; only what is missed is left to chance, and `bands.chance_found` says how
much at most. Knows texts and ranks, not records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tenfold.data.dedup import bands as banding
from tenfold.data.dedup.clusters import components, keep
from tenfold.data.dedup.shingles import SHINGLE_WORDS, jaccard, shingle_sets
from tenfold.data.dedup.signatures import PERMUTATIONS, agreement, least_agreement, signatures
from tenfold.data.dedup.texts import Texts, taken
from tenfold.errors import ConfigError

VERIFY_BYTES = 64 << 20
"""Text whose shingle sets are held at a time, bytes; the sets are up to four times as large."""
MOST_ROUNDS = 12
FEW = 8
"""Buckets of at most so many members are compared pair by pair at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """When two texts are near duplicates, and how hard they are searched for."""

    threshold: float = 0.8
    """Jaccard similarity of shingle sets from which one goes, above 0 to 1."""
    words: int = SHINGLE_WORDS
    """Words of a shingle, 1 or more."""
    permutations: int = PERMUTATIONS
    bands: int = banding.BANDS
    rows: int = banding.ROWS
    """Permutations of a band; bands x rows is at most `permutations`."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError("threshold must be above 0 and at most 1", seen=self.threshold)
        if self.words < 1:
            raise ConfigError("a shingle has at least one word", seen=self.words)
        if self.bands < 1 or self.rows < 1 or self.bands * self.rows > self.permutations:
            raise ConfigError(
                "bands need bands x rows permutations",
                seen=f"{self.bands} x {self.rows} of {self.permutations}",
                hint="more permutations, or fewer bands",
            )


@dataclass(frozen=True, slots=True)
class Verified:
    """Pairs whose similarity reaches the threshold; left < right are ranks."""

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    num_candidates: int = 0
    """Pairs that met in a band."""
    num_compared: int = 0
    """Pairs compared exactly: the estimate did not rule them out."""
    num_large: int = 0
    """Buckets too large to be compared pair by pair."""
    rounds: int = 1


def near_pairs(texts: Texts, ranks: np.ndarray, config: Near) -> Verified:
    """Near duplicates among texts with these ranks (a permutation of 0..num_texts - 1): enough pairs to say
    who goes, though not all pairs of large clusters. The same pairs for texts in any order.

    First, members of large buckets are compared with the best of their bucket only. Then those that stay
    are compared again: within each cluster, for what bands missed another document may have joined, and,
    where a bucket was large, in their bands; until no new pair is found (MOST_ROUNDS at most)."""
    num = len(ranks)
    signed = signatures(texts, permutations=config.permutations, words=config.words)
    place = np.empty(num, np.int64)  # rank -> row
    place[ranks] = np.arange(num)
    signed = signed[place]

    pairs = _in_bands(signed, np.arange(num), config, small=FEW, window=0)
    found = _verified(texts, signed, place, pairs, config)
    large = found.num_large > 0
    while found.rounds < MOST_ROUNDS:
        kept = keep(found.left, found.right, found.similarity, num)
        staying = np.flatnonzero(kept.twin == np.arange(num))
        name = components(found.left, found.right, num)[staying]
        pairs = banding.candidates(
            banding.Bands(
                np.zeros(len(staying), np.uint16),
                name.astype(np.uint64),
                staying,
                np.zeros(len(staying), np.uint64),
            )
        )
        if large:
            more = _in_bands(signed, staying, config, small=banding.SMALL, window=banding.WINDOW)
            pairs = banding.Pairs(
                *banding.distinct(
                    np.concatenate((pairs.left, more.left)),
                    np.concatenate((pairs.right, more.right)),
                ),
                more.num_large,
            )
        fresh = _verified(texts, signed, place, pairs, config)
        found = Verified(
            np.concatenate((found.left, fresh.left)),
            np.concatenate((found.right, fresh.right)),
            np.concatenate((found.similarity, fresh.similarity)),
            found.num_candidates + fresh.num_candidates,
            found.num_compared + fresh.num_compared,
            found.num_large,
            found.rounds + 1,
        )
        if not len(fresh.left):
            break
    return found


def _in_bands(
    signed: np.ndarray, staying: np.ndarray, config: Near, *, small: int, window: int
) -> banding.Pairs:
    """Of the documents of these ranks."""
    parts, num_large = [], 0
    part = signed if len(staying) == len(signed) else signed[staying]
    for band in range(config.bands):
        found = banding.candidates(
            banding.bands(part, staying, num_bands=config.bands, rows=config.rows, only=band),
            small=small,
            window=window,
        )
        parts.append(found)
        num_large += found.num_large
    left, right = banding.distinct(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
    )
    return banding.Pairs(left, right, num_large)


def _verified(
    texts: Texts, signed: np.ndarray, place: np.ndarray, pairs: banding.Pairs, config: Near
) -> Verified:
    enough = least_agreement(config.threshold, config.permutations)
    likely = agreement(signed, pairs.left, pairs.right) >= enough
    left, right = pairs.left[likely], pairs.right[likely]
    similarity = verify(texts, place[left], place[right], config)
    alike = similarity >= config.threshold
    return Verified(
        left[alike],
        right[alike],
        similarity[alike],
        len(pairs.left),
        len(left),
        pairs.num_large,
    )


def verify(texts: Texts, left: np.ndarray, right: np.ndarray, config: Near) -> np.ndarray:
    """The exact similarity of each pair of rows, float64; 0 may stand for less than the threshold."""
    out = np.empty(len(left))
    for chunk in _chunks(texts, left, right):
        rows, places = np.unique(np.concatenate((left[chunk], right[chunk])), return_inverse=True)
        sets = shingle_sets(taken(texts, rows), config.words)
        half = len(chunk)
        out[chunk] = jaccard(sets, places[:half], places[half:], config.threshold)
    return out


def _chunks(texts: Texts, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of whole clusters of candidates together, so that few sets are made twice."""
    if not len(left):
        return
    rows, places = np.unique(np.concatenate((left, right)), return_inverse=True)
    half = len(left)
    name = components(places[:half], places[half:], len(rows))
    order = np.lexsort((places[half:], places[:half], name[places[:half]]))
    # A text weighs where it occurs for the first time.
    visited = np.stack((places[:half][order], places[half:][order]), 1).ravel()
    _, first = np.unique(visited, return_index=True)
    weight = np.zeros(len(visited), np.int64)
    size = np.diff(texts.offsets)[rows]
    weight[first] = size[visited[first]]
    total = np.cumsum(weight)[1::2]
    chunk = total // VERIFY_BYTES
    cuts = np.flatnonzero(chunk[1:] != chunk[:-1]) + 1
    yield from np.split(order, cuts)
