"""Which records may be found at all: by source, licence, authority, time and what their meta says. Knows parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenfold.data.retrieval.entry import UNKNOWN_TIME
from tenfold.data.retrieval.part import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """All that are given must hold."""

    sources: Sequence[str] | None = None
    licences: Sequence[str] | None = None
    least_authority: float = 0.0
    after_us: int | None = None
    """Microseconds since 1970; what has no time does not pass."""
    before_us: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Field -> the value it must have."""

    def mask(self, part: Part) -> np.ndarray | None:
        """Which rows pass all but `meta`; None: every row does."""
        passes: list[np.ndarray] = []
        for name, wanted in (("source", self.sources), ("licence", self.licences)):
            if wanted is not None:
                values, codes = part.coded(name)
                known = np.array([value in set(wanted) for value in values], dtype=bool)
                passes.append(known[codes] if len(values) else np.zeros(0, dtype=bool))
        if self.least_authority:
            passes.append(np.asarray(part.authority) >= np.float32(self.least_authority))
        if self.after_us is not None:
            passes.append((part.time_us >= self.after_us) & (part.time_us != UNKNOWN_TIME))
        if self.before_us is not None:
            passes.append((part.time_us < self.before_us) & (part.time_us != UNKNOWN_TIME))
        return np.logical_and.reduce(passes) if passes else None

    def passes_meta(self, part: Part, row: int) -> bool:
        if not self.meta:
            return True
        meta = json.loads(part.string("meta", row))
        return all(meta.get(name) == value for name, value in self.meta.items())
