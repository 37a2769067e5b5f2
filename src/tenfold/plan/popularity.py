"""How often which prompt comes again: Zipf's law over a finite catalogue, and what it allows a cache.

Everything here is a bound from the law or from a stream. No cache is known to reach it: a measured hit
rate comes from a gateway, never from this file.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property

from tenfold.errors import ConfigError


@dataclass(frozen=True)
class Zipf:
    """Item k of 1..num_items is asked for with probability proportional to k^-exponent."""

    num_items: int
    exponent: float
    """0: all alike. Product-page and recommendation logs fit 0.8, conversations hardly repeat at all."""

    def __post_init__(self) -> None:
        if self.num_items < 1:
            raise ConfigError("a catalogue needs at least one item", seen=self.num_items)
        if not 0.0 <= self.exponent <= 10.0:
            raise ConfigError("the exponent must lie between 0 and 10", seen=self.exponent)

    @cached_property
    def probabilities(self) -> list[float]:
        """Of items 1..num_items, falling; they sum to 1."""
        weights = [k**-self.exponent for k in range(1, self.num_items + 1)]
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    def sample(self, draws: random.Random, num_requests: int) -> list[int]:
        """`num_requests` independent ranks, 0 the most popular."""
        cumulative = list(itertools.accumulate(self.probabilities))
        return draws.choices(range(self.num_items), cum_weights=cumulative, k=num_requests)

    def expected_distinct(self, num_requests: int) -> float:
        """Different items among `num_requests` draws: sum over items of 1 - (1 - p)^n."""
        return math.fsum(
            -math.expm1(num_requests * math.log1p(-p)) if p < 1.0 else 1.0
            for p in self.probabilities
        )

    def expected_reuse_bound(self, num_requests: int) -> float:
        """Share of requests that repeat an earlier one, expected: what an exact cache cannot exceed."""
        if num_requests < 1:
            return 0.0
        return 1.0 - self.expected_distinct(num_requests) / num_requests


def reuse_bound(keys: Iterable[Hashable]) -> float:
    """Share of this stream that repeats an earlier key: the bound of an unlimited cache starting cold."""
    seen = list(keys)
    return 1.0 - len(set(seen)) / len(seen) if seen else 0.0
