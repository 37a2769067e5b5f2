"""Intervals for shares. Pure arithmetic; 95 % two-sided unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenfold.errors import UsageError

Z_95 = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval, all in [0, 1]."""

    value: float
    low: float
    high: float
    num: int
    """Comparisons behind it."""
    effective: float
    """Independent comparisons they are worth."""

    @property
    def gap(self) -> tuple[float, float, float]:
        """Distance from one half (value, low, high); low is 0 when the interval holds one half."""
        low, high = self.low - 0.5, self.high - 0.5
        nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
        return abs(self.value - 0.5), nearest, max(abs(low), abs(high))


def wilson(successes: float, num: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval (1927): (low, high). `successes` may be fractional (a tie is half)."""
    if not 0 <= successes <= num or num <= 0:
        raise UsageError("an interval needs 0 <= successes <= num, num > 0", seen=(successes, num))
    share, z2 = successes / num, z * z
    centre = (share + z2 / (2 * num)) / (1 + z2 / num)
    half = z / (1 + z2 / num) * math.sqrt(share * (1 - share) / num + z2 / (4 * num * num))
    # At the ends the exact value is 0 or 1; rounding must not put the share outside its interval.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == num else min(1.0, centre + half)
    return low, high


def clustered_share(clusters: Mapping[str, Iterable[float]]) -> Share:
    """The share of wins among comparisons that come in clusters (the same words in other sentences).

    Wilson's interval on the effective number of comparisons: the number divided by the design effect of
    the clusters (Korn and Graubard 1998, for shares from clustered surveys). When every comparison came
    out the same, no design effect can be seen, and only the clusters are counted.
    """
    outcomes = {name: list(wins) for name, wins in clusters.items()}
    outcomes = {name: wins for name, wins in outcomes.items() if wins}
    num = sum(len(wins) for wins in outcomes.values())
    if num == 0:
        raise UsageError("a share needs at least one comparison")
    total = math.fsum(win for wins in outcomes.values() for win in wins)
    share, num_clusters = total / num, len(outcomes)
    effective = float(num_clusters)
    if 0.0 < share < 1.0 and num_clusters > 1:
        residuals = [math.fsum(wins) - share * len(wins) for wins in outcomes.values()]
        variance = math.fsum(r * r for r in residuals) / num**2 * num_clusters / (num_clusters - 1)
        simple = share * (1 - share) / num
        effective = num / max(1.0, variance / simple)
    low, high = wilson(share * effective, effective)
    return Share(share, low, high, num, effective)


def at_most(successes: int, num: int, confidence: float = 0.95) -> float:
    """The one-sided upper bound of Clopper and Pearson (1934): the largest share under which so few
    successes would still have probability 1 - confidence. For 0 of n about 3/n (the rule of three)."""
    if not 0 <= successes <= num or num < 1:
        raise UsageError("a bound needs 0 <= successes <= num, num >= 1", seen=(successes, num))
    if successes == num:
        return 1.0
    low, high = successes / num, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if _at_most_probability(successes, num, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most_probability(successes: int, num: int, share: float) -> float:
    """P(X <= successes) for X binomial, summed in logarithms."""
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    yes, no = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(
            math.lgamma(num + 1)
            - math.lgamma(k + 1)
            - math.lgamma(num - k + 1)
            + k * yes
            + (num - k) * no
        )
        for k in range(successes + 1)
    )
