"""The nearest members first, the next region when they are loaded."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.serve.router.policies.ranked import Ranked


class Region(Ranked):
    def __init__(self, spill_share: float, nearest_first: Sequence[str]) -> None:
        distance = {region: float(at) for at, region in enumerate(nearest_first)}
        far = float(len(nearest_first))
        super().__init__(
            lambda places: [distance.get(place.member.region, far) for place in places], spill_share
        )
