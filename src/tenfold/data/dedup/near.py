"""Near duplicates: candidates by bands, verified by the exact Jaccard similarity of shingle sets.

What is found is right by construction; only what is missed is left to chance, and `bands.chance_found` says how
much. Knows texts and ranks, not records.
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
MOST_ROUNDS = 8


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
    """All near duplicates that bands find among texts with these ranks (a permutation of 0..num_texts - 1).

    Where a bucket was too large for all of its pairs, those that stay are searched again, until they yield
    no new pair (MOST_ROUNDS at most). The same pairs for texts in any order."""
    signed = signatures(texts, permutations=config.permutations, words=config.words)
    place = np.empty(len(ranks), np.int64)  # rank -> row
    place[ranks] = np.arange(len(ranks))
    found = _verified(texts, signed, place, ranks, np.arange(len(ranks)), config)
    while found.num_large and found.rounds < MOST_ROUNDS:
        kept = keep(found.left, found.right, found.similarity, len(ranks))
        staying = place[np.flatnonzero(kept.twin == np.arange(len(ranks)))]
        more = _verified(texts, signed, place, ranks, staying, config)
        if not len(more.left):
            break
        found = Verified(
            np.concatenate((found.left, more.left)),
            np.concatenate((found.right, more.right)),
            np.concatenate((found.similarity, more.similarity)),
            found.num_candidates + more.num_candidates,
            found.num_compared + more.num_compared,
            more.num_large,
            found.rounds + 1,
        )
    return found


def _verified(
    texts: Texts,
    signed: np.ndarray,
    place: np.ndarray,
    ranks: np.ndarray,
    rows: np.ndarray,
    config: Near,
) -> Verified:
    """Of the texts in these rows."""
    parts, num_large = [], 0
    for band in range(config.bands):
        found = banding.candidates(
            banding.bands(
                signed[rows], ranks[rows], num_bands=config.bands, rows=config.rows, only=band
            )
        )
        parts.append((found.left, found.right))
        num_large += found.num_large
    left, right = banding.distinct(
        np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    )
    enough = least_agreement(config.threshold, config.permutations)
    likely = agreement(signed, place[left], place[right]) >= enough
    num_candidates, left, right = len(left), left[likely], right[likely]
    similarity = verify(texts, place[left], place[right], config)
    alike = similarity >= config.threshold
    return Verified(
        left[alike], right[alike], similarity[alike], num_candidates, len(left), num_large
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
