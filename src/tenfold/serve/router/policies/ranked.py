"""The best members first, the next best when they are loaded: the common part of cost, joules, region."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Member, Place


class Ranked:
    """Members of equal rank share by outstanding work; beyond `spill_share` of its room a member ranks
    behind all that are below theirs."""

    def __init__(self, ranks: Callable[[Sequence[Place]], list[float]], spill_share: float) -> None:
        """`ranks` gives one figure for each place, the lower the better."""
        self._ranks = ranks
        self._spill_share = spill_share
        self._turn = 0

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        self._turn += 1
        ranks = self._ranks(places)
        start = self._turn % len(places)
        order = range(start - len(places), start)
        return places[min(order, key=lambda index: self._key(places[index].member, ranks[index]))]

    def forget(self, name: str) -> None:
        """It remembers nobody."""

    def _key(self, member: Member, rank: float) -> tuple[bool, float, float]:
        spilling = member.outstanding >= self._spill_share * member.max_outstanding
        return spilling, rank, member.outstanding / member.weight
