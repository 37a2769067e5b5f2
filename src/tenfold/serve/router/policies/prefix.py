"""The member that already holds the longest part of the prompt, as long as it is not overloaded.

A member that reads a prompt keeps its keys and values for a while; whoever sends the continuation to the
same member saves it the reading. The table remembers which blocks went where. When less than half of a
prompt is known anywhere that has room, it is mostly new, and consistent hashing of the first block that
nobody knows spreads it: conversations that share a system prompt go to different members, and gateways
that do not share tables still agree. No member gets more than `load` times its share of the work
(Mirrokni, Thorup, Zadimoghaddam, Consistent Hashing with Bounded Loads, SODA 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place
from tenfold.serve.router.policies.least_outstanding import LeastOutstanding
from tenfold.serve.router.prefix import PrefixTable
from tenfold.serve.router.ring import Ring

_WORTH = 0.5
"""Share of a prompt's blocks that must be known for it to follow them (SGLang's `cache_threshold`)."""


class Prefix:
    def __init__(self, load: float, table: PrefixTable) -> None:
        self._load = load
        self.table = table
        self._ring = Ring()
        self._otherwise = LeastOutstanding()

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        prefix = ask.prefix
        room = self._with_room(places)
        if not prefix:
            return self._otherwise.choose(ask, room, now)
        known = self.table.known(prefix, now)
        depths = [known.depth(place.member.name) for place in room]
        deepest = max(depths)
        if deepest >= _WORTH * len(prefix):
            holders = [place for place, depth in zip(room, depths, strict=True) if depth == deepest]
            chosen = self._otherwise.choose(ask, holders, now)
        else:
            by_name = {place.member.name: place for place in room}
            fork = prefix[min(known.length, len(prefix) - 1)]
            chosen = by_name[self._ring.nearest(fork, by_name)]
        self.table.record(prefix, chosen.member.name, now)
        return chosen

    def forget(self, name: str) -> None:
        self.table.forget(name)
        self._ring.remove(name)

    def _with_room(self, places: Sequence[Place]) -> list[Place]:
        """Those below their bound, this request counted; the bounds add up to more than the work."""
        each = self._load * (1 + sum(place.member.outstanding for place in places))
        each /= sum(place.member.weight for place in places)
        return [
            place
            for place in places
            if place.member.outstanding < math.ceil(each * place.member.weight)
        ]
