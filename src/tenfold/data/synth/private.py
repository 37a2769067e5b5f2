"""Rows with differential privacy: a tree of noisy two-way tables.

After MST (McKenna, Miklau, Sheldon, Journal of Privacy and Confidentiality 11, 2021): noisy histograms of
every column, a spanning tree of pairs chosen by the exponential mechanism, noisy two-way tables along it.

What is guaranteed: `fit` is (epsilon, delta)-differentially private with respect to adding or removing one
row, and so is everything sampled from it, any number of times. The accountant is zero-concentrated privacy
(Bun and Steinke 2016): Gaussian noise of deviation s on a histogram costs 1/(2 s^2), a choice by the
exponential mechanism with parameter e costs e^2/8, costs add up to rho, and rho-zCDP gives (rho + 2
sqrt(rho ln(1/delta)), delta). What is not: domains must be public (take them from a code book, never from
the rows); one person with several rows is not covered; the noise comes from a seeded generator in floating
point, so the seed must be secret and attacks on low-order bits (Mironov 2012) are not ruled out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tenfold.data.synth import frame
from tenfold.errors import ConfigError, InputError

BINS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a column may hold, known without looking at the rows. Others count as missing."""

    categories: tuple[str | bool, ...] = ()
    edges: tuple[float, ...] = ()
    """Bounds of a number's bins in rising order; a bin holds its lower bound."""

    def __post_init__(self) -> None:
        if bool(self.categories) == (len(self.edges) >= 2):
            raise ConfigError("a domain has categories or two edges or more", seen=self)
        if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ConfigError("edges must rise", seen=self.edges)

    @property
    def size(self) -> int:
        """Bins, with one for missing values, which comes first."""
        return 1 + (len(self.categories) or len(self.edges) - 1)


def evenly(low: float, high: float, bins: int = BINS) -> Domain:
    """A number from `low` to `high` (both included) in bins of one width."""
    edges = np.linspace(low, np.nextafter(high, np.inf), bins + 1)
    return Domain(edges=tuple(edges.tolist()))


@dataclass(frozen=True, slots=True)
class PrivateTree:
    order: tuple[tuple[str, str | None], ...]
    """Columns with their parents, parents first."""
    shares: Mapping[str, np.ndarray]
    """(parent bins, bins) for each column, rows sum to 1; the root has one row."""
    domains: Mapping[str, Domain]
    schema: pa.Schema
    rho: float
    """What was spent."""

    def sample(self, num_rows: int, seed: int) -> pa.Table:
        """Fresh rows. Costs no privacy."""
        rng = np.random.default_rng(seed)
        bins: dict[str, np.ndarray] = {}
        for name, parent in self.order:
            given = np.zeros(num_rows, np.int64) if parent is None else bins[parent]
            heights = np.cumsum(self.shares[name], axis=1)
            chance = rng.random(num_rows)
            drawn = (chance[:, None] >= heights[given]).sum(axis=1)
            bins[name] = np.minimum(drawn, self.domains[name].size - 1)
        arrays = [
            _values(field, self.domains[field.name], bins[field.name], rng) for field in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def rho_of(epsilon: float, delta: float) -> float:
    """The zCDP budget of (epsilon, delta): Bun and Steinke 2016, proposition 1.3, solved for rho."""
    if epsilon <= 0 or not 0 < delta < 1:
        raise ConfigError(
            "epsilon must be above 0 and delta between 0 and 1", seen=(epsilon, delta)
        )
    slack = float(np.log(1 / delta))
    return float((np.sqrt(slack + epsilon) - np.sqrt(slack)) ** 2)


def fit(
    table: pa.Table, domains: Mapping[str, Domain], *, epsilon: float, delta: float, seed: int
) -> PrivateTree:
    """Spend (epsilon, delta), a third each on histograms, on the choice of pairs and on their tables."""
    missing = [name for name in table.column_names if name not in domains]
    if missing:
        raise InputError(
            "columns without a public domain",
            seen=missing,
            hint="give their categories or edges from a code book; rows must not be looked at for it",
        )
    rho = rho_of(epsilon, delta)
    rng = np.random.default_rng(seed)
    names = table.column_names
    codes = {name: _codes(table.column(name), domains[name]) for name in names}
    noise = (len(names) / (2 * rho / 3)) ** 0.5
    single = {}
    for name in names:
        counts = np.bincount(codes[name], minlength=domains[name].size).astype(float)
        single[name] = counts + rng.normal(0, noise, len(counts))
    total = max(1.0, float(np.mean([counts.sum() for counts in single.values()])))
    single = {name: projected(counts, total) for name, counts in single.items()}
    pairs = _spanning(codes, single, total, rho / 3, rng)
    noise = (max(1, len(pairs)) / (2 * rho / 3)) ** 0.5
    root = names[0]
    order: list[tuple[str, str | None]] = [(root, None)]
    shares = {root: single[root][None, :] / total}
    for parent, child in pairs:
        counts = _joint(codes[parent], codes[child], domains[parent].size, domains[child].size)
        noisy = projected((counts + rng.normal(0, noise, counts.shape)).ravel(), total)
        # Rows that noise has swallowed fall back on the column's own histogram.
        mixed = noisy.reshape(counts.shape) + single[child] / total
        shares[child] = mixed / mixed.sum(axis=1, keepdims=True)
        order.append((child, parent))
    return PrivateTree(tuple(order), shares, dict(domains), table.schema.remove_metadata(), rho)


def projected(counts: np.ndarray, total: float) -> np.ndarray:
    """The nearest (n,) numbers, none below 0, that sum to `total` (Duchi et al., ICML 2008, figure 1)."""
    falling = np.sort(counts)[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(counts) + 1)
    last = int(np.flatnonzero(falling > excess)[-1])
    return np.maximum(counts - excess[last], 0.0)


def _spanning(
    codes: Mapping[str, np.ndarray], single: Mapping[str, np.ndarray], total: float, rho: float,
    rng: np.random.Generator,
) -> list[tuple[str, str]]:  # fmt: skip
    """Parent and child of each edge, parents first: those whose joint table independence fits worst."""
    names = list(codes)
    rounds = max(1, len(names) - 1)
    strength = (8 * rho / rounds) ** 0.5
    score = {}
    for place, a in enumerate(names):
        for b in names[:place]:
            joint = _joint(codes[a], codes[b], len(single[a]), len(single[b]))
            # One row more or less moves this by at most 1: the noisy histograms are fixed by now.
            score[a, b] = float(np.abs(joint - np.outer(single[a], single[b]) / total).sum())
    joined = {names[0]}
    pairs = []
    while len(joined) < len(names):
        open_pairs = [pair for pair in score if (pair[0] in joined) != (pair[1] in joined)]
        worth = [strength * score[pair] / 2 + rng.gumbel() for pair in open_pairs]
        a, b = open_pairs[int(np.argmax(worth))]
        parent, child = (a, b) if a in joined else (b, a)
        joined.add(child)
        pairs.append((parent, child))
    return pairs


def _joint(a: np.ndarray, b: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return (
        np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns).astype(float)
    )


def _codes(column: pa.ChunkedArray, domain: Domain) -> np.ndarray:
    if domain.categories:
        places = {value: place for place, value in enumerate(domain.categories, 1)}
        return np.array([places.get(value, 0) for value in column.to_pylist()], np.int64)
    numbers = frame.columns(pa.table({"column": column}))["column"].values
    edges = np.array(domain.edges)
    found = np.searchsorted(edges, numbers, side="right")
    return np.where((found >= len(edges)) | np.isnan(numbers), 0, found)


def _values(
    field: pa.Field, domain: Domain, bins: np.ndarray, rng: np.random.Generator
) -> pa.Array:
    if domain.categories:
        words = pa.array([None, *domain.categories])
        return words.take(pa.array(bins)).cast(field.type)
    low = np.array([0.0, *domain.edges[:-1]])[bins]
    high = np.array([0.0, *domain.edges[1:]])[bins]
    numbers = low + rng.random(len(bins)) * (high - low)
    if pa.types.is_integer(field.type) or pa.types.is_temporal(field.type):
        # Of the whole numbers in the bin, each as likely as the others; the bin's end is not in it.
        first, last = np.ceil(low), np.maximum(np.ceil(high) - 1, np.ceil(low))
        numbers = first + np.floor(rng.random(len(bins)) * (last - first + 1))
    like = frame.Column(name=field.name, type=field.type, kind="number", values=numbers)
    return frame.decoded(like, np.where(bins == 0, np.nan, numbers))
