"""Bootstrap: weights for rounds of drawing records again, and the percentiles of what comes of them.

Percentile intervals as in Efron & Tibshirani 1993, chapter 13. What is drawn are clusters (a record is one,
or all records of a row group or a source): records of one cluster are not independent, clusters nearly are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.data.gauges.gauge import MIN_BLOCKS, Array, Blocks, Exact, Figure, Gauge, Sampled

ROUNDS = 1000
LEVEL = 0.95

Weights = npt.NDArray[np.float32]
"""(1 + rounds, records): how often each record was drawn. The first row is the sample as it is."""


def weights(cluster: npt.NDArray[np.integer[Any]], seed: int, rounds: int = ROUNDS) -> Weights:
    """`cluster` (records,): which one each record is in. With one cluster there is nothing to draw from."""
    labels, member = np.unique(cluster, return_inverse=True)
    many = len(labels)
    if many < 2:
        return np.ones((1, len(cluster)), np.float32)
    chance = np.random.Generator(np.random.PCG64(seed))
    drawn = np.empty((1 + rounds, many), np.float32)
    drawn[0] = 1
    for start in range(1, rounds + 1):
        drawn[start] = np.bincount(chance.integers(0, many, many), minlength=many)
    return drawn[:, member]


def draws(gauge: Sampled | Blocks, found: Weights, seed: int) -> Array:
    """The value, then that of every round."""
    if isinstance(gauge, Sampled):
        return gauge.statistic(found[:, : gauge.records])
    blocks = len(gauge.values)
    value = gauge.values.mean() if blocks else np.nan
    if blocks < MIN_BLOCKS:
        return np.array([value])
    chance = np.random.Generator(np.random.PCG64(seed))
    picked = chance.integers(0, blocks, (ROUNDS, blocks))
    return np.concatenate([[value], gauge.values[picked].mean(axis=1)])


def read(gauge: Gauge, found: Weights, seed: int) -> Figure | None:
    """None where the sample holds nothing to measure."""
    if isinstance(gauge, Exact):
        value = gauge.value
        return Figure(gauge.name, gauge.unit, value, value, value, gauge.records, True)
    values = draws(gauge, found, seed)
    if not np.isfinite(values[0]):
        return None
    low, high = percentiles(values[1:])
    if gauge.unit == "share" and low == high and values[0] in (0, 1) and isinstance(gauge, Sampled):
        drawn = min(gauge.known, independent(found[:, : gauge.records]))
        low, high = none_seen(drawn) if values[0] == 0 else _turned(none_seen(drawn))
    return Figure(gauge.name, gauge.unit, float(values[0]), low, high, gauge.records)


def independent(found: Weights) -> int:
    """How many things were drawn: records with equal weights in every round are one."""
    return len(np.unique(found[1:33].T, axis=0)) if len(found) > 1 else 1


def none_seen(count: int) -> tuple[float, float]:
    """The interval of a share that none of `count` has shown: drawing again cannot find what was never seen, so
    this one is Clopper & Pearson's (1934)."""
    return 0.0, 1 - ((1 - LEVEL) / 2) ** (1 / max(1, count))


def _turned(bounds: tuple[float, float]) -> tuple[float, float]:
    return 1 - bounds[1], 1 - bounds[0]


def percentiles(values: Array) -> tuple[float | None, float | None]:
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None, None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
