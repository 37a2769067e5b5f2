"""Of two members drawn at random the one with less to do, for its weight.

Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10), 2001: two draws bring
the longest queue from log n to log log n, and gateways that share members do not all run to the same one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place


class PowerOfTwo:
    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        count = len(places)
        if count == 1:
            return places[0]
        first = int(self._random.random() * count)
        second = int(self._random.random() * (count - 1))
        if second >= first:
            second += 1
        one, other = places[first].member, places[second].member
        chosen = (
            first if one.outstanding * other.weight <= other.outstanding * one.weight else second
        )
        return places[chosen]

    def forget(self, name: str) -> None:
        """It remembers nobody."""
