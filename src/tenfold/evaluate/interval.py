"""How sure a figure is: bootstrap intervals over whole documents (Efron & Tibshirani 1993, chapter 13).

Tokens of one document are not independent, documents nearly are; so documents are drawn, not tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.need import need


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def ratio_of_sums(
    numerators: Sequence[float], denominators: Sequence[float], *, seed: int, rounds: int = 1000
) -> Interval:
    """sum(numerators) / sum(denominators) over documents, with its percentile interval.

    With one document there is nothing to draw from: low and high equal the value.
    """
    np = need("numpy", extra="train", why="to evaluate a model")
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return Interval(value, value, value)
    chance = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for _ in range(rounds):
        picked = chance.integers(0, len(above), len(above))
        drawn.append(above[picked].sum() / below[picked].sum())
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(value, float(low), float(high))
