"""The cheapest member first, by USD per token; a member without a price comes last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tenfold.serve.router.member import Place
from tenfold.serve.router.policies.ranked import Ranked


class Cost(Ranked):
    def __init__(self, spill_share: float) -> None:
        super().__init__(_prices, spill_share)


def _prices(places: Sequence[Place]) -> list[float]:
    prices = [place.member.usd_per_token for place in places]
    return [math.inf if price is None else price for price in prices]
