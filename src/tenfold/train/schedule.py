"""How the learning rate moves over a run. Pure: a share of the peak for each step."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def warmup_cosine(steps: int, *, warmup: int, floor: float = 0.0) -> Schedule:
    """A straight rise over `warmup` steps, then half a cosine down to `floor` (a share of the peak).

    (Loshchilov and Hutter 2017, arXiv 1608.03983, with the warm-up of Goyal et al. 2017, 1706.02677.)
    """
    warmup = min(warmup, steps)

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup + 1) / max(steps - warmup, 1)
        return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    return share
