"""Drift: how far a column has moved from the profile it once had.

The population stability index over the profile's own bins (Siddiqi, Credit Risk Scorecards, 2006: below 0.1
little, above 0.25 a shift), less what chance alone gives for so many rows and bins, so that small tables are
not alarms. Knows profiles and tables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tenfold.data.tables.profile import Profile, as_numbers, as_texts, kind_of

BINS = 10
SHIFT = 0.25
_SMOOTH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    column: str
    stability: float
    """Population stability index, 0 and more; None-like columns that changed type have infinity."""
    by_chance: float
    """Its expected value for two samples of one distribution (Yurdakul 2018: chi-square over rows)."""
    missing: tuple[float, float]
    """Share of missing values, before and now."""
    note: str = ""

    @property
    def shifted(self) -> bool:
        return self.stability - self.by_chance > SHIFT

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["stability"] = None if np.isinf(self.stability) else self.stability
        return {**plain, "shifted": self.shifted}


def drift(before: Profile, column: pa.ChunkedArray) -> Drift:
    """Of one column against its profile; missing values are a bin of their own."""
    rows = max(1, len(column))
    missing = (before.missing / max(1, before.rows), column.null_count / rows)
    kind = kind_of(column.type)
    numeric = {"number", "whole"}
    if kind != before.type and not {kind, before.type} <= numeric:
        return Drift(
            column=before.name, stability=float("inf"), by_chance=0.0, missing=missing,
            note=f"was {before.type}, is {kind}",
        )  # fmt: skip
    present = column.drop_null()
    old, new = (
        _numbers(before, as_numbers(present))
        if before.quantiles
        else _texts(before, as_texts(present))
    )
    old, new = np.append(old, before.missing), np.append(new, column.null_count)
    used = (old + new) > 0
    old, new = old[used] + _SMOOTH, new[used] + _SMOOTH
    p, q = old / old.sum(), new / new.sum()
    chance = (len(p) - 1) * (1 / max(1, before.rows) + 1 / rows)
    return Drift(
        column=before.name, stability=float(((q - p) * np.log(q / p)).sum()), by_chance=chance,
        missing=missing,
    )  # fmt: skip


def _numbers(before: Profile, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts between the profile's quantiles; equal quantiles become one bin with their share."""
    at = np.array(before.quantiles)
    step = (len(at) - 1) // BINS
    inner = at[step:-1:step]
    edges, share = np.unique(inner, return_counts=True)
    # A bin ends with its edge; an edge that stands for several quantiles carries all their shares.
    shares = np.append(share, len(at[::step]) - 1 - share.sum()) / BINS
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return shares * (before.rows - before.missing), counts.astype(float)


def _texts(before: Profile, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    names = {name: place for place, (name, _) in enumerate(before.top)}
    counts = np.zeros(len(names) + 1)
    for text in texts:
        counts[names.get(text, len(names))] += 1
    old = np.array([count for _, count in before.top], float)
    return np.append(old, before.rows - before.missing - old.sum()), counts
