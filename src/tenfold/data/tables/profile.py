"""What a column is like, in figures: the base for drafting rules and for noticing drift.

Plain values that go into JSON and back. Knows one table, no rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TOP = 50
QUANTILES = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Of one column."""

    name: str
    type: str
    """`number`, `whole`, `truth`, `time` or `text`"""
    rows: int
    missing: int
    distinct: int
    quantiles: tuple[float, ...] = ()
    """0, 5, ... 100 % of numbers, and of times as seconds since 1970."""
    top: tuple[tuple[str, int], ...] = ()
    """The commonest 50 values of text and truth, with their counts."""
    lengths: tuple[int, int] = (0, 0)
    """Fewest and most characters of text."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Profile:
        values = dict(plain)
        values["quantiles"] = tuple(values.get("quantiles", ()))
        values["top"] = tuple((name, count) for name, count in values.get("top", ()))
        values["lengths"] = tuple(values.get("lengths", (0, 0)))
        return cls(**values)


def profiles(table: pa.Table) -> dict[str, Profile]:
    """Column -> profile. Nested columns are told by their JSON-like text."""
    return {name: profile(name, table.column(name)) for name in table.column_names}


def profile(name: str, column: pa.ChunkedArray) -> Profile:
    kind = kind_of(column.type)
    present = column.drop_null()
    facts: dict[str, Any] = {
        "name": name, "type": kind, "rows": len(column), "missing": column.null_count
    }  # fmt: skip
    if kind in ("number", "whole", "time"):
        numbers = as_numbers(present)
        facts["distinct"] = len(np.unique(numbers))
        if len(numbers):
            at = np.quantile(numbers, np.linspace(0, 1, QUANTILES))
            facts["quantiles"] = tuple(float(value) for value in at)
        return Profile(**facts)
    texts = as_texts(present)
    counts = Counter(texts)
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    lengths = [len(text) for text in counts]
    return Profile(
        **facts, distinct=len(counts), top=tuple(ordered[:TOP]),
        lengths=(min(lengths), max(lengths)) if lengths else (0, 0),
    )  # fmt: skip


def kind_of(target: pa.DataType) -> str:
    if pa.types.is_boolean(target):
        return "truth"
    if pa.types.is_integer(target):
        return "whole"
    if pa.types.is_floating(target) or pa.types.is_decimal(target):
        return "number"
    if pa.types.is_timestamp(target) or pa.types.is_date(target):
        return "time"
    return "text"


def as_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """(n,) float64 of a column without missing values; times as seconds since 1970."""
    if kind_of(column.type) == "time":
        micros = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
        return micros.to_numpy().astype(np.float64) / 1e6
    return pc.cast(column, pa.float64(), safe=False).to_numpy()


def as_texts(column: pa.ChunkedArray) -> list[str]:
    """Values as people read them: `true`, `false`, the text itself."""
    values = column.to_pylist()
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
