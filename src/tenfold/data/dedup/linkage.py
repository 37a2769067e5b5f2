"""Rows of tables that are the same thing, found without labels: blocking, comparison, weights, clusters.

Fellegi & Sunter 1969: a field's agreement weighs log(m / u), m and u being how often fields agree in pairs
that are one and in pairs that are two; both come from the pairs themselves by expectation-maximisation
(Winkler 1988). Knows columns of a table, not which of them are names or numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa

from tenfold.data.dedup.alphabet import alphabet
from tenfold.data.dedup.bands import Bands, candidates
from tenfold.data.dedup.clusters import components
from tenfold.data.dedup.exact import exact_keys
from tenfold.data.dedup.strings import jaro_winkler
from tenfold.data.dedup.texts import Texts, folded, mixed, next_words, texts_of
from tenfold.errors import ConfigError, UnknownName

LEVELS = (0.80, 0.92, 1.0)
"""Jaro-Winkler similarities from which a field agrees a little, well, and wholly (Winkler's .92 for typos)."""
NUM_ROUNDS = 200
RANDOM_PAIRS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """Which columns say what a row is, and how sure one has to be."""

    fields: tuple[str, ...]
    """Columns that are compared."""
    chance: float = 0.9
    """Probability of being the same from which two rows are linked, 0 to 1."""
    block: int = 60
    """Words found in more rows than this bring no pair up for comparison."""

    def __post_init__(self) -> None:
        if not self.fields:
            raise ConfigError("linkage needs fields to compare")
        if not 0 <= self.chance <= 1:
            raise ConfigError("chance must be between 0 and 1", seen=self.chance)
        if self.block < 2:
            raise ConfigError("a block has at least two rows", seen=self.block)


@dataclass(frozen=True, slots=True)
class Weights:
    """What agreement is worth, of each field and level (0: differs .. 3: equal)."""

    fields: tuple[str, ...]
    same: np.ndarray
    """m, float64 (num_fields, 4): how often each level comes in pairs that are the same"""
    other: np.ndarray
    """u, alike, in pairs that are not"""
    share: float
    """Of the compared pairs, how many are the same."""

    def chances(self, levels: np.ndarray) -> np.ndarray:
        """The probability of being the same, float64 (num_pairs,), of levels int8 (num_pairs, num_fields);
        -1, missing, says nothing."""
        odds = np.full(len(levels), np.log(self.share) - np.log1p(-self.share))
        for field in range(levels.shape[1]):
            weight = np.append(np.log(self.same[field]) - np.log(self.other[field]), 0.0)
            odds += weight[levels[:, field]]
        return 1 / (1 + np.exp(-np.clip(odds, -500, 500)))


@dataclass(frozen=True, slots=True)
class Links:
    left: np.ndarray
    """int64: row; of each linked pair the smaller one"""
    right: np.ndarray
    chance: np.ndarray
    entity: np.ndarray
    """int64 (num_rows,): the smallest row of the same cluster"""
    num_candidates: int
    weights: Weights | None
    """None: no pair was worth comparing"""


def link(rows: pa.Table, config: Linkage) -> Links:
    """Which rows are the same thing. The same clusters for the same rows in any order, up to the numbers of
    rows. Raises UnknownName for a field that is no column."""
    for name in config.fields:
        if name not in rows.column_names:
            raise UnknownName("column", name, rows.column_names)
    fields = [folded(texts_of(_strings(rows.column(name)))) for name in config.fields]
    # By content, so that nothing depends on the order of rows.
    keys = np.concatenate([exact_keys(field) for field in fields], 1)
    order = np.lexsort(keys.T)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))

    found = candidates(blocks(fields, rank, config.block), small=config.block)
    left, right = order[found.left], order[found.right]
    if not len(left):
        none = np.zeros(0, np.int64)
        return Links(none, none, np.zeros(0), np.arange(len(order)), 0, None)
    levels = compare(fields, left, right)
    weights = learn(levels, compare(fields, *_random_pairs(order)), config.fields)
    chance = weights.chances(levels)
    sure = chance >= config.chance
    first, second = np.minimum(left, right)[sure], np.maximum(left, right)[sure]
    entity = components(first, second, len(order))
    return Links(first, second, chance[sure], entity, len(left), weights)


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    return column if pa.types.is_string(kind) else column.cast(pa.large_string())


@numba.njit(cache=True)
def _block_keys(data, offsets, kinds, lower, rank, keys, rows):  # type: ignore[no-untyped-def]
    words = np.empty(64, np.uint64)
    filled = 0
    for row in range(offsets.size - 1):
        count, _ = next_words(data, offsets[row], offsets[row + 1], kinds, lower, words, 0)
        whole = np.uint64(count)
        for at in range(count):
            keys[filled], rows[filled] = words[at], rank[row]
            filled += 1
            whole = mixed(whole ^ words[at])
        if count > 1:
            keys[filled], rows[filled] = whole, rank[row]
            filled += 1
    return filled


def blocks(fields: list[Texts], rank: np.ndarray, most: int) -> Bands:
    """Rows under each word that they have in any field, and under each whole value, without words of more
    than `most` rows. A word is the same in every field: some people write the surname first."""
    parts = []
    for texts in fields:
        size = int(texts.offsets[-1] - texts.offsets[0]) + len(rank) + 1
        keys, rows = np.empty(size, np.uint64), np.empty(size, np.int64)
        filled = _block_keys(*texts, *alphabet(), rank, keys, rows)
        parts.append(np.stack((keys[:filled], rows[:filled].astype(np.uint64)), 1))
    entries = np.unique(np.concatenate(parts), axis=0)
    _, place, count = np.unique(entries[:, 0], return_inverse=True, return_counts=True)
    entries = entries[(count <= most)[place]]
    return Bands(
        np.zeros(len(entries), np.uint16),
        entries[:, 0],
        entries[:, 1].astype(np.int64),
        np.zeros(len(entries), np.uint64),
    )


def compare(fields: list[Texts], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The level of agreement of each field, int8 (num_pairs, num_fields): -1 missing, 0 differs, to 3 equal."""
    levels = np.empty((len(left), len(fields)), np.int8)
    for field, texts in enumerate(fields):
        alike = jaro_winkler(texts, left, right)
        levels[:, field] = np.searchsorted(LEVELS, alike, side="right")
        levels[alike < 0, field] = -1
    return levels


def learn(levels: np.ndarray, random_levels: np.ndarray, names: tuple[str, ...]) -> Weights:
    """m, u and the share of pairs that are the same, by expectation-maximisation over patterns of levels.

    u starts from random pairs, m from mostly equal."""
    patterns, counts = np.unique(levels, axis=0, return_counts=True)
    num_fields = levels.shape[1]
    same = np.tile([0.05, 0.05, 0.1, 0.8], (num_fields, 1))
    other = np.stack([_frequencies(random_levels[:, at], None) for at in range(num_fields)])
    share = 0.1
    for _ in range(NUM_ROUNDS):
        weights = Weights(names, same, other, share)
        chance = weights.chances(patterns)
        before = share
        share = float(np.clip((counts * chance).sum() / counts.sum(), 1e-6, 1 - 1e-6))
        for at in range(num_fields):
            same[at] = _frequencies(patterns[:, at], counts * chance)
            other[at] = _frequencies(patterns[:, at], counts * (1 - chance))
        if abs(share - before) < 1e-9:
            break
    return Weights(names, same, other, share)


def _frequencies(levels: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Of levels that are not missing; half a pair is added to each, for none is impossible."""
    there = levels >= 0
    weights = None if counts is None else counts[there]
    found = np.bincount(levels[there], weights, len(LEVELS) + 1) + 0.5
    return found / found.sum()


def _random_pairs(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    left, right = chance.integers(0, len(order), (2, RANDOM_PAIRS))
    apart = left != right
    return order[left[apart]], order[right[apart]]
