"""The most frugal member first, by joules per token, as configured or as a meter says.

One that nobody has measured yet counts as good as the best: without work it would never be measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.serve.router.member import Place
from tenfold.serve.router.policies.ranked import Ranked


class Joules(Ranked):
    def __init__(self, spill_share: float) -> None:
        super().__init__(_joules, spill_share)


def _joules(places: Sequence[Place]) -> list[float]:
    figures = [place.member.joules_per_token for place in places]
    best = min((figure for figure in figures if figure is not None), default=0.0)
    return [best if figure is None else figure for figure in figures]
