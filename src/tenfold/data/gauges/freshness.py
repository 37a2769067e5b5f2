"""Freshness: ages against each source's half-life. Records without a time are counted apart, never guessed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tenfold.data import record
from tenfold.data.gauges import statistic
from tenfold.data.gauges.gauge import Readings
from tenfold.data.gauges.sample import Sample

DAY_US = 86_400 * 1_000_000
_POINTS = 41


def freshness(
    sample: Sample, half_life_days: Mapping[str, float | None], as_of_us: int
) -> Readings:
    """Gauges `freshness.*`. `half_life_days`: source -> days after which its content counts half; None or not
    named: it does not age. A record is worth 0.5 ** (age / half-life), and 1 where it does not age."""
    found = Readings()
    count = len(sample)
    times = np.array([np.nan if t is None else t for t in sample.column(record.TIME)], np.float64)
    ages = (as_of_us - times) / DAY_US
    known = np.isfinite(ages)
    found.sampled("freshness.unknown_share", "share", statistic.mean(~known), count)
    half = np.array(
        [half_life_days.get(s) or np.inf for s in sample.column(record.SOURCE)], np.float64
    )
    ageing = np.isfinite(half)
    if known.any():
        found.sampled(
            "freshness.future_share",
            "share",
            statistic.mean(ages < 0, known),
            count,
            int(known.sum()),
        )
        for name, at in (("median", 0.5), ("p90", 0.9)):
            found.sampled(f"freshness.age_{name}_days", "days", statistic.quantile(ages, at), count)
        points = np.linspace(0, 1, _POINTS)
        found.tables["age_days"] = [
            [float(at), float(value)]
            for at, value in zip(points, np.quantile(ages[known], points), strict=True)
        ]
    if not ageing.any():
        found.absent["freshness.weight_mean"] = "no source has a half-life"
        return found
    if not (known & ageing).any():
        found.absent["freshness.weight_mean"] = "no record of a source that ages has a time"
        return found
    past = ages > half
    found.sampled(
        "freshness.past_half_life_share",
        "share",
        statistic.mean(past, known & ageing),
        count,
        int((known & ageing).sum()),
    )
    weight = np.where(ageing, 0.5 ** (np.maximum(ages, 0) / np.where(ageing, half, 1)), 1.0)
    found.sampled("freshness.weight_mean", "", statistic.mean(weight, known | ~ageing), count)
    found.tables["half_life_days"] = {
        name: days for name, days in sorted(half_life_days.items()) if days is not None
    }
    ratio = np.sort((ages / half)[known & ageing])
    grid = np.linspace(0, max(2.0, min(float(ratio[-1]), 8.0)), _POINTS)
    found.tables["older_than"] = [[float(x), float((ratio > x).mean())] for x in grid]
    return found
