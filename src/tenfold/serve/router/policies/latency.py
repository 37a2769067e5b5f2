"""The member that will probably answer first: peak-EWMA time to the first part times work under way.

The measure of Finagle and linkerd (`PeakEwma`): a mean that takes a peak at once and decays slowly. It fades
while nothing comes, so a member that was slow once is asked again. One without a sample gets one request to
make one, and no second before that is answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place


class Latency:
    def __init__(self) -> None:
        self._turn = 0

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        self._turn += 1
        start = self._turn % len(places)
        best = places[start]
        least = math.inf
        for index in range(start - len(places), start):
            place = places[index]
            member = place.member
            if member.latency_s:
                score = member.latency_now(now) * (member.outstanding + 1)
            elif member.outstanding:
                continue
            else:
                score = 0.0
            if score < least:
                best, least = place, score
        return best if least < math.inf else min(places, key=_outstanding)

    def forget(self, name: str) -> None:
        """It remembers nobody."""


def _outstanding(place: Place) -> int:
    return place.member.outstanding
