"""Two snapshots, gauge by gauge: what changed, and which changes are beyond noise.

Records that are in both samples are drawn together in every bootstrap round, so what they share cancels out of
the difference. Many gauges are looked at at once, so a difference counts as beyond noise only by Holm's rule (Holm
1979): the chance that anything at all is called a difference where there is none is at most `ERROR`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from tenfold.data.gauges import interval
from tenfold.data.gauges.gauge import MIN_BLOCKS, Array, Blocks, Exact, Gauge, Sampled
from tenfold.data.gauges.sample import Sample

ERROR = 0.05
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one gauge, after minus before."""

    name: str
    unit: str
    before: float
    after: float
    change: float
    low: float | None
    """The 95 % percentile interval of this change alone. None: nothing to tell noise from."""
    high: float | None
    p: float | None
    """The chance of so large a change where there is none; None: there is no interval."""
    exact: bool
    """Both were counted over everything: the change is a fact; beyond noise it is where as many others of the
    same kind would hardly have shown it."""
    beyond_noise: bool


def differences(
    before: list[Gauge], after: list[Gauge], samples: tuple[Sample, Sample], seed: int
) -> list[Difference]:
    """Of every gauge that both have, in the order of `after`."""
    earlier = {gauge.name: gauge for gauge in before}
    weights = paired(*samples, seed)
    found = [
        _one(earlier[gauge.name], gauge, weights, seed) for gauge in after if gauge.name in earlier
    ]
    there = [each for each in found if each is not None]
    beyond = holm([each.p for each in there], ERROR)
    return [replace(each, beyond_noise=judged) for each, judged in zip(there, beyond, strict=True)]


def shared_share(before: Sample, after: Sample) -> float:
    """Share of the records of either that are in both: of the union's smallest hashes, those in both samples
    (Beyer et al. 2007). nan for two samples without a record. Samples of parts may hold too few to tell."""
    limits = [
        np.iinfo(np.uint64).max if each.whole or not len(each) else each.keys[-1]
        for each in (before, after)
    ]
    edge = min(limits)
    ours, theirs = before.keys[before.keys <= edge], after.keys[after.keys <= edge]
    union = len(np.union1d(ours, theirs))
    return len(np.intersect1d(ours, theirs)) / union if union else float("nan")


def paired(before: Sample, after: Sample, seed: int) -> tuple[interval.Weights, interval.Weights]:
    """Weights of both samples: what is in both weighs the same in a round.

    Where row groups or sources are what is drawn, those that share a record are drawn as one.
    """
    keys = np.concatenate([before.keys, after.keys])
    _, node = np.unique(keys, return_inverse=True)
    cluster = np.concatenate([before.cluster, after.cluster + before.cluster.max(initial=-1) + 1])
    joined = _joined(node, cluster)
    weights = interval.weights(joined, seed)
    return weights[:, : len(before)], weights[:, len(before) :]


def _joined(node: npt.NDArray[np.int64], cluster: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Clusters that hold the same record become one."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    if not len(cluster):
        return cluster
    width = int(cluster.max()) + 1
    size = width + int(node.max()) + 1
    edges = sparse.coo_matrix((np.ones(len(node)), (cluster, node + width)), shape=(size, size))
    _, label = connected_components(edges, directed=False)
    return np.asarray(label[cluster], np.int64)


def holm(chances: list[float | None], error: float) -> list[bool]:
    """Which of them stand, all together, with at most `error` chance of any false one."""
    order = sorted((p, i) for i, p in enumerate(chances) if p is not None)
    stands = [False] * len(chances)
    for rank, (p, index) in enumerate(order):
        if p > error / (len(order) - rank):
            break
        stands[index] = True
    return stands


def _one(
    before: Gauge, after: Gauge, weights: tuple[interval.Weights, interval.Weights], seed: int
) -> Difference | None:
    name, unit = after.name, after.unit
    if isinstance(before, Exact) and isinstance(after, Exact):
        return Difference(name, unit, before.value, after.value, after.value - before.value,
                          None, None, counted(before, after), True, False)  # fmt: skip
    left = _draws(before, weights[0], seed)
    right = _draws(after, weights[1], seed + 1)
    if not (np.isfinite(left[0]) and np.isfinite(right[0])):
        return None
    change = float(right[0] - left[0])
    low = high = p = None
    if len(left) == len(right) and len(left) > 1:
        moved = (right - left)[1:]
        moved = moved[np.isfinite(moved)]
        low, high = interval.percentiles(moved)
        p = chance(change, moved, _freedom(before, after))
    return Difference(
        name, unit, float(left[0]), float(right[0]), change, low, high, p, False, False
    )


def chance(change: float, moved: Array, freedom: float) -> float | None:
    """Two-sided, of a change against the spread of its bootstrap rounds. Percentiles do not reach as far out
    as many gauges at once ask for, so the tails are Student's."""
    if len(moved) < 2:
        return None
    spread = float(moved.std(ddof=1))
    if spread <= _LEAST_SPREAD * max(1.0, abs(change)):
        return 1.0 if abs(change) <= _LEAST_SPREAD else 0.0
    return float(2 * stats.t.sf(abs(change) / spread, freedom))


def counted(before: Exact, after: Exact) -> float | None:
    """The chance of so different shares of so many things each where there is one share (the pooled z-test of two
    proportions). None for what is no share."""
    if after.unit != "share":
        return None
    many = before.records, after.records
    pooled = (before.value * many[0] + after.value * many[1]) / max(1, sum(many))
    spread = pooled * (1 - pooled) * sum(1 / max(1, n) for n in many)
    if spread <= 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(after.value - before.value) / spread**0.5))


def _freedom(before: Gauge, after: Gauge) -> float:
    """Degrees of freedom: few blocks know little of their own spread."""
    blocks = [len(gauge.values) for gauge in (before, after) if isinstance(gauge, Blocks)]
    return max(1.0, min(blocks) - 1.0) if blocks else 1e6


def _draws(gauge: Gauge, weights: interval.Weights, seed: int) -> Array:
    if isinstance(gauge, Exact):
        return np.full(len(weights), gauge.value)
    if isinstance(gauge, Blocks) and len(gauge.values) < MIN_BLOCKS:
        return np.array([gauge.values.mean() if len(gauge.values) else np.nan])
    assert isinstance(gauge, Sampled | Blocks)
    return interval.draws(gauge, weights, seed)
