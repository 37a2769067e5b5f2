"""What a straight line knows of a number before the tree splits: for tables of measured numbers.

A tree of 10,000 rows has some hundreds of leaves, too coarse for numbers that follow each other closely. So
a continuous column is first explained by least squares over the columns before it, and donors give their
distance from the line. The line is drawn through the numbers themselves or through their normal scores,
whichever explains more. Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

MIN_EXPLAINED = 0.1
"""Share of variance below which the line is left out."""
RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """A number as it stands or as its normal score, and back."""

    known: np.ndarray
    """Sorted distinct training values; empty: numbers stay as they are."""
    scores: np.ndarray
    low: float
    high: float

    def there(self, values: np.ndarray) -> np.ndarray:
        if len(self.known) == 0:
            return values
        return np.interp(values, self.known, self.scores)

    def back(self, values: np.ndarray) -> np.ndarray:
        """Never outside what the training rows span."""
        if len(self.known) == 0:
            return np.clip(values, self.low, self.high)
        return np.interp(values, self.scores, self.known)


def plain_scale(values: np.ndarray) -> Scale:
    none = np.array([])
    return Scale(none, none, float(values.min()), float(values.max()))


def normal_scale(values: np.ndarray) -> Scale:
    """Of (n,) numbers without missing ones: mid-ranks through the inverse normal distribution."""
    known, counts = np.unique(values, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / len(values)
    return Scale(known, ndtri(ranks), float(known[0]), float(known[-1]))


@dataclass(frozen=True, slots=True)
class Line:
    target: Scale
    predictors: tuple[Scale, ...]
    fills: np.ndarray
    """What stands for a missing predictor, after its scale."""
    weights: np.ndarray

    def at(self, predictors: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) the line's value, on the target's scale."""
        return np.asarray(_design(predictors, self.predictors, self.fills) @ self.weights)


def fit(predictors: Sequence[np.ndarray], target: np.ndarray) -> Line | None:
    """The better of both lines; None where neither explains enough. `predictors` may have NaN."""
    usable = [values for values in predictors if (~np.isnan(values)).any()]
    if len(usable) != len(predictors) or not predictors or len(target) < 10 * len(predictors):
        return None
    best, explained = None, MIN_EXPLAINED
    for scale in (plain_scale, normal_scale):
        goal = scale(target)
        scales = tuple(scale(values[~np.isnan(values)]) for values in predictors)
        fills = np.array(
            [
                float(own.there(values[~np.isnan(values)]).mean())
                for own, values in zip(scales, predictors, strict=True)
            ]
        )
        design, y = _design(predictors, scales, fills), goal.there(target)
        spread = design.std(axis=0)
        spread[spread == 0] = 1.0
        scaled = design / spread
        gram = scaled.T @ scaled + RIDGE * len(y) * np.eye(scaled.shape[1])
        weights = np.linalg.solve(gram, scaled.T @ y) / spread
        share = 1 - float(np.var(y - design @ weights) / max(np.var(y), 1e-300))
        # Numbers as they stand keep sums and products; scores must be clearly better.
        if share > explained:
            best, explained = Line(goal, scales, fills, weights), share + 0.25 * (1 - share)
    return best


def _design(
    predictors: Sequence[np.ndarray], scales: Sequence[Scale], fills: np.ndarray
) -> np.ndarray:
    parts = [np.ones(len(predictors[0]))]
    for values, scale, fill in zip(predictors, scales, fills, strict=True):
        there = np.isnan(values)
        parts.append(np.where(there, fill, scale.there(np.where(there, 0.0, values))))
    return np.stack(parts, axis=1)
