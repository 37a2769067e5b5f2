"""The asset `Table` as an Arrow table and back: rows of JSON have no types, columns do.

A column is whole numbers, numbers, truth values or text; what is none of them all through is text. Knows
the asset and Arrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tenfold.core.asset import Table
from tenfold.errors import InputError


def to_arrow(table: Table) -> pa.Table:
    """All rows in memory. Raises InputError for a table without rows."""
    rows = list(table.rows())
    if not rows:
        raise InputError("the table has no rows", where=table.name)
    return pa.table({name: column([row.get(name) for row in rows]) for name in rows[0]})


def to_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows for `Table.write`: values that JSON knows, times in ISO 8601."""
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def column(values: list[Any]) -> pa.Array:
    """The narrowest of bool, int64, double and string that holds all values; None is missing."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} and kinds:
        return pa.array(values, pa.bool_())
    if kinds <= {int} and kinds:
        try:
            return pa.array(values, pa.int64())
        except (OverflowError, pa.ArrowInvalid):
            return pa.array([None if value is None else str(value) for value in values])
    if kinds <= {int, float} and kinds:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else (
        value.isoformat() if hasattr(value, "isoformat") else str(value)
    )  # fmt: skip
