"""Scales: from values to pixels, and where the ticks go."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear, from [low, high] to [start, end] in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (value - self.low) / (span or 1.0) * (self.end - self.start)


def ticks(low: float, high: float, target: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) from at or below `low` to at or above `high`."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low, low + 1.0]
    raw = span / max(1, target)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def time_step(span_s: float, target: int = 6) -> float:
    """A length in seconds that people count time in."""
    lengths = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
    hours = (3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
    return float(next((s for s in (*lengths, *hours) if span_s / s <= target), 2_592_000))
