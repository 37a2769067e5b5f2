"""How far annotators agree, beyond what chance would give. Knows numbers only.

A table of ratings is float64 (num_items, num_raters); NaN: not rated. Categories are codes; for the ordinal
and interval levels their numeric order and distance count. Items rated once say nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tenfold.errors import InputError

Level = Literal["nominal", "ordinal", "interval"]
Statistic = Callable[[np.ndarray], float]
"""A table of ratings -> a number."""


def percent(table: np.ndarray) -> float:
    """Share of equal pairs among all pairs of ratings of one item, 0 to 1; NaN without a pair."""
    counts, _ = _counts(table)
    rated = counts.sum(1)
    pairs = float((rated * (rated - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else float("nan")


def cohen_kappa(
    one: np.ndarray, other: np.ndarray, weights: Literal["linear", "quadratic"] | None = None
) -> float:
    """Two annotators over the same items, (num_items,) each; items that either left out do not count.

    Cohen 1960 (Educational and Psychological Measurement 20); `weights`: Cohen 1968 (Psychological Bulletin
    70), over the ranks of the categories that occur. NaN where both always say one and the same.
    """
    if one.shape != other.shape:
        raise InputError("two annotators need as many ratings", seen=[one.shape, other.shape])
    both = np.stack([one, other], axis=1).astype(np.float64)
    both = both[~np.isnan(both).any(1)]
    values, codes = np.unique(both, return_inverse=True)
    codes = codes.reshape(both.shape)
    size = len(values)
    seen = np.zeros((size, size))
    np.add.at(seen, (codes[:, 0], codes[:, 1]), 1)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    cost = (apart > 0).astype(np.float64) if weights is None else apart
    cost = cost**2 if weights == "quadratic" else cost
    by_chance = np.outer(seen.sum(1), seen.sum(0)) / max(1.0, seen.sum())
    return _beyond(float((cost * seen).sum()), float((cost * by_chance).sum()))


def fleiss_kappa(table: np.ndarray) -> float:
    """Any number of annotators, as many ratings for every item (not necessarily by the same persons).

    Fleiss 1971 (Psychological Bulletin 76). Raises InputError where items have different numbers of ratings.
    """
    counts, _ = _counts(table)
    rated = counts.sum(1)
    if len(rated) == 0:
        return float("nan")
    if rated.min() != rated.max():
        raise InputError(
            "Fleiss' kappa needs as many ratings for every item",
            seen=f"{int(rated.min())} to {int(rated.max())}",
            hint="Krippendorff's alpha allows for missing ratings",
        )
    share = counts.sum(0) / counts.sum()
    return _beyond(1 - percent(table), float(1 - (share**2).sum()))


def krippendorff_alpha(table: np.ndarray, level: Level = "nominal") -> float:
    """Any number of annotators, ratings may be missing. 1: perfect, 0: chance, below 0: worse than chance.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part C: observed over expected
    disagreement in the matrix of coincidences. NaN where only one value occurs.
    """
    counts, values = _counts(table)
    if not len(counts):
        return float("nan")
    weight = counts / (counts.sum(1, keepdims=True) - 1)
    pairs = weight.T @ counts - np.diag(weight.sum(0))
    margin = pairs.sum(1)
    total = margin.sum()
    cost = _cost(values, margin, level)
    expected = float((np.outer(margin, margin) * cost).sum()) / (total - 1)
    return _beyond(float((pairs * cost).sum()), expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    value: float
    low: float
    high: float
    """Of a percentile interval; NaN where too few items carry the statistic."""
    items: int
    """Rated at least twice."""


def estimate(
    statistic: Statistic,
    table: np.ndarray,
    *,
    confidence: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Estimate:
    """`statistic` with a bootstrap interval over items (Efron & Tibshirani 1993, chapter 13): the items are
    drawn anew `repeats` times; draws without a defined value are left out."""
    table = table[(~np.isnan(table)).sum(1) >= 2]
    items = len(table)
    value = statistic(table)
    draw = np.random.default_rng(seed)
    drawn = np.array(
        [statistic(table[draw.integers(0, items, items)]) for _ in range(repeats if items else 0)]
    )
    drawn = drawn[~np.isnan(drawn)]
    low, high = float("nan"), float("nan")
    if len(drawn):
        tail = (1 - confidence) / 2
        low, high = (float(each) for each in np.quantile(drawn, [tail, 1 - tail]))
    return Estimate(value=value, low=low, high=high, items=items)


def _beyond(observed: float, expected: float) -> float:
    return 1 - observed / expected if expected > 0 else float("nan")


def _counts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings per item and value, float64 (items rated twice or more, num_values), and the values, sorted."""
    table = table[(~np.isnan(table)).sum(1) >= 2]
    values = np.unique(table[~np.isnan(table)])
    return np.stack([(table == value).sum(1) for value in values], axis=1).astype(
        np.float64
    ) if len(values) else np.zeros((0, 0)), values


def _cost(values: np.ndarray, margin: np.ndarray, level: Level) -> np.ndarray:
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        return np.subtract.outer(values, values) ** 2
    # Ordinal: the ratings that lie between two ranks, half of those at either end.
    middle = np.cumsum(margin) - margin / 2
    return np.subtract.outer(middle, middle) ** 2
