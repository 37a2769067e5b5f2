"""From two orders to one: fused by rank, then weighed by authority and freshness.

Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): sum of weight / (constant + rank). Its scores are flat, so
authority and freshness act through small exponents. Knows scores, not where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tenfold.data.retrieval.entry import UNKNOWN_TIME
from tenfold.errors import ConfigError

DAY_US = 86_400_000_000
_LEAST = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How hits are ordered."""

    words: float = 1.0
    """Weight of BM25's order, 0 or more."""
    vectors: float = 0.25
    """Weight of the vectors' order, 0 or more."""
    rank_constant: float = 5.0
    """Of the fusion: the higher, the less the first places stand out. Above 0. The paper's 60 is for fusing many
    orders of equal worth; here words lead, and authority would outweigh places that differ so little."""
    depth: int = 200
    """How many of each order are looked at, 1 or more."""
    authority: float = 0.1
    """Exponent on authority, 0 or more; 0: off."""
    freshness: float = 0.02
    """Exponent on freshness, 0 or more; 0: off."""
    half_life_days: float = 1461.0
    """Age at which freshness is a half, above 0."""
    oldest: float = 0.05
    """Freshness of what is very old or has no time, above 0 to 1."""
    superseded: Literal["below", "hide", "keep"] = "below"
    """`below`: under its successors, which are found wherever it is. `hide`: only its successors are found.
    `keep`: as any other record."""
    demote: float = 0.9
    """What a superseded record's score is multiplied with, above 0 and below 1."""

    def __post_init__(self) -> None:
        for name in ("words", "vectors", "authority", "freshness"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more", seen=getattr(self, name))
        for name in ("rank_constant", "half_life_days", "oldest", "depth"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))
        if not 0 < self.demote < 1:
            raise ConfigError("demote must be above 0 and below 1", seen=self.demote)


def fused(
    orders: Sequence[tuple[float, Sequence[tuple[int, float]]]], constant: float
) -> dict[int, float]:
    """`orders`: each with its weight and its (row, score), best first. Row -> fused score.

    Equal scores share the better rank, so that what comes after decides between equals.
    """
    scores: dict[int, float] = {}
    for weight, order in orders:
        rank, before = 0, None
        for place, (row, score) in enumerate(order if weight else (), 1):
            if score != before:
                rank, before = place, score
            scores[row] = scores.get(row, 0.0) + weight / (constant + rank)
    return scores


def standing(authority: np.ndarray, time_us: np.ndarray, now_us: int, rule: Ranking) -> np.ndarray:
    """authority^a * freshness^b of each record, where freshness halves with every half-life."""
    age_days = np.where(
        time_us == UNKNOWN_TIME, np.inf, np.maximum(now_us - time_us.astype(np.float64), 0) / DAY_US
    )
    freshness = np.maximum(np.exp2(-age_days / rule.half_life_days), rule.oldest)
    trust = np.maximum(authority.astype(np.float64), _LEAST)  # zero would make all of them equal
    return np.power(trust, rule.authority) * np.power(freshness, rule.freshness)
