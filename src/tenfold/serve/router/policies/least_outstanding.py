"""The member with the fewest generations under way, for its weight. Ties go round."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place


class LeastOutstanding:
    def __init__(self) -> None:
        self._turn = 0

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        self._turn += 1
        start = self._turn % len(places)
        best = places[start]
        least = best.member.outstanding / best.member.weight
        for index in range(start + 1 - len(places), start):
            place = places[index]
            load = place.member.outstanding / place.member.weight
            if load < least:
                best, least = place, load
        return best

    def forget(self, name: str) -> None:
        """It remembers nobody."""
