"""Splitting a window's total among the requests in it, so that the shares add up. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tenfold.errors import UsageError


def apportion(total: float, idle: float, weights: Sequence[float]) -> list[float]:
    """Shares of `total - idle` in proportion to `weights` (compute seconds, say), in their order.

    What rounding leaves over goes to the largest share, so that `math.fsum([*shares, idle]) == total`
    whenever the last bit of `total` is 0, as it is in differences of meter readings; else the two agree
    but for that bit (a double may not exist that closes the sum). When nothing weighs anything the work
    is split equally. With no one to carry it there are no shares, and the caller books the whole window
    as idle.

    `total` and `idle` share any unit (joules, dollars). Raises UsageError unless
    0 <= idle <= total and every weight is finite and not negative.
    """
    if not (math.isfinite(total) and 0.0 <= idle <= total):
        raise UsageError("idle must lie between 0 and the total", seen=(total, idle))
    if any(not math.isfinite(weight) or weight < 0 for weight in weights):
        raise UsageError("weights must be finite and not negative", seen=list(weights))
    if not weights:
        return []
    heaviest = max(weights)
    # Dividing by the largest first keeps the sum finite and tiny weights out of the subnormals.
    scaled = [weight / heaviest if heaviest > 0 else 1.0 for weight in weights]
    whole = math.fsum(scaled)
    active = total - idle
    shares = [active * (part / whole) for part in scaled]
    _close(shares, total, idle)
    return shares


def _close(shares: list[float], total: float, idle: float) -> None:
    """Move the rounding error (a few units in the last place) into the largest share."""
    largest = max(range(len(shares)), key=shares.__getitem__)
    for _ in range(8):
        error = math.fsum([total, -idle, *(-share for share in shares)])
        moved = max(0.0, shares[largest] + error)
        if moved == shares[largest]:
            break
        shares[largest] = moved
    # What is left is half a unit of the largest share or less. fsum rounds it away, to even on a tie,
    # unless another share, however small, tips the tie: then one unit the other way does.
    best = shares[largest]
    for candidate in (best, math.nextafter(best, 0.0), math.nextafter(best, math.inf)):
        shares[largest] = candidate
        if math.fsum([*shares, idle]) == total:
            return
    shares[largest] = best
