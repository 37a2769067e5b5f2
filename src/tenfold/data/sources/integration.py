"""How well a source could be integrated: time to the first record, speed, readable share, causes.

Knows the columns of records, nothing about how they were read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from tenfold.data import record
from tenfold.data.arrow import mentioning

REPAIRED = "repaired"
"""The key in a record's `meta` under which the names of its repairs stand, as a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """One reading of one source, measured."""

    source: str
    records: int
    bytes: int
    """Arrow bytes of all records."""
    causes: Mapping[str, int]
    """Cause -> quarantined things (a line, a page, a row or a file is one)."""
    repaired: Mapping[str, int]
    """Repair -> records that came through only because of it; they are among `records`."""
    first_record_s: float | None
    """Until the first batch was there; null: there was none."""
    elapsed_s: float
    """Time spent inside the connector."""

    @property
    def quarantined(self) -> int:
        return sum(self.causes.values())

    @property
    def readable_share(self) -> float:
        """Records among records and quarantined things, 1 where there was nothing at all."""
        seen = self.records + self.quarantined
        return self.records / seen if seen else 1.0

    @property
    def records_per_s(self) -> float:
        return self.records / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def metrics(self) -> dict[str, float]:
        """Name -> value, as the hub records them; times have the unit s in their name."""
        found: dict[str, float] = {
            "records": self.records,
            "bytes": self.bytes,
            "quarantined": self.quarantined,
            "readable_share": self.readable_share,
            "records_per_s": self.records_per_s,
            "elapsed_s": self.elapsed_s,
        }
        if self.first_record_s is not None:
            found["first_record_s"] = self.first_record_s
        found.update((f"quarantined.{cause}", count) for cause, count in self.causes.items())
        found.update((f"repaired.{name}", count) for name, count in self.repaired.items())
        return found


def repairs(batch: pa.RecordBatch) -> Counter[str]:
    """Repair -> records of the batch that had it. Only rows whose meta mentions one are parsed."""
    meta = batch.column(record.META)
    if meta.null_count == len(meta):
        return Counter()
    mentioned = mentioning(meta, f'"{REPAIRED}":')
    found: Counter[str] = Counter()
    for text in mentioned.to_pylist():
        found.update(json.loads(text).get(REPAIRED) or ())
    return found
