"""Members in turn, each as often as its weight says.

The smooth weighted round robin of nginx: everybody earns its weight, the richest is chosen and pays the sum.
Over any stretch the shares are right and a heavy member's turns are not bunched.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place


class Weighted:
    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        credit = self._credit
        total = 0.0
        best = places[0]
        most = float("-inf")
        for place in places:
            member = place.member
            total += member.weight
            earned = credit[member.name] = credit.get(member.name, 0.0) + member.weight
            if earned > most:
                best, most = place, earned
        credit[best.member.name] -= total
        return best

    def forget(self, name: str) -> None:
        self._credit.pop(name, None)
