"""Numbers that nobody has: how a donor's number becomes a new one, at the rate at which new ones come.

A value that one training row alone has is moved towards a neighbour; values that repeat stay. Drawing
donors uniformly meets single values at the rate N1/n, which is how often the next real row would bring a
value not seen before (Good 1953): the distribution of repeats is that of real rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 3
"""A single value moves towards one of so many neighbours on either side."""
MIN_SINGLE_SHARE = 0.005
"""Columns with fewer single values are lists of known values: nothing new is expected."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    singles: np.ndarray
    """Sorted values that stand in one training row only; empty: nothing moves."""
    step: float
    """Moved values are put back on this grid; 0: none."""

    def moved(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n,) values of training rows -> (n,) values, the single ones moved."""
        if len(self.singles) < 2 * NEIGHBOURS:
            return values
        place = np.searchsorted(self.singles, values)
        place = np.minimum(place, len(self.singles) - 1)
        single = self.singles[place] == values
        offset = rng.integers(1, NEIGHBOURS + 1, len(values)) * rng.choice([-1, 1], len(values))
        other = self.singles[np.clip(place + offset, 0, len(self.singles) - 1)]
        fresh = values + rng.random(len(values)) * (other - values)
        return np.where(single, snapped(fresh, self.step), values)


def smoothing(values: np.ndarray, step: float) -> Smoothing:
    """Of the numbers of a column, without missing ones."""
    distinct, counts = np.unique(values, return_counts=True)
    singles = distinct[counts == 1]
    if len(singles) < MIN_SINGLE_SHARE * len(values):
        singles = singles[:0]
    return Smoothing(singles, step)


def single_share(values: np.ndarray) -> float:
    """N1/n: the share of values that stand once."""
    _, counts = np.unique(values, return_counts=True)
    return float((counts == 1).sum()) / max(1, len(values))


def snapped(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest points of the grid."""
    if step == 0:
        return values
    decimals = round(-np.log10(step))
    return np.asarray(np.round(values, decimals))
