"""The columns of a source's rows: fixed once, so that all batches of a reading have one schema.

The first rows decide, or the setting `columns` does. Later a column that is new goes to the record's meta
under `extra`, one that is missing is null, and a value of another type sends its row to quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from tenfold.errors import ConfigError

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
}
"""What the setting `columns` may name."""

_REFUSALS = (pa.ArrowException, TypeError, ValueError, OverflowError)
"""What pa.array raises for values that are not of the type."""


class Shape:
    """Undecided until it has seen rows, or given."""

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        self._type: pa.StructType | None = None
        self._names: frozenset[str] = frozenset()
        if columns:
            for name, kind in columns.items():
                if kind not in TYPES:
                    raise ConfigError(
                        "not a column type",
                        where=f"columns.{name}",
                        seen=kind,
                        hint="known: " + ", ".join(TYPES),
                    )
            self.fix(pa.struct([(name, TYPES[kind]) for name, kind in columns.items()]))

    @property
    def type(self) -> pa.StructType | None:
        return self._type

    def fix(self, struct: pa.StructType) -> None:
        self._type = struct
        self._names = frozenset(field.name for field in struct)

    def column(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[pa.Array, list[str | None] | None]:
        """The rows as a struct array; where some do not fit, only those that do, and a fault per row."""
        if self._type is None:
            self.fix(_inferred(rows))
        try:
            return pa.array(rows, self._type), None
        except _REFUSALS:
            rows = [self._as_text(row) for row in rows]
            faults = [self._fault(row) for row in rows]
            return (
                pa.array([row for row, f in zip(rows, faults, strict=True) if f is None], self._type),
                faults,
            )

    def spill(self, row: Mapping[str, Any], meta: dict[str, Any]) -> bool:
        """Values of columns that the schema does not have go to `meta`; were there any?"""
        if row.keys() <= self._names:
            return False
        meta["extra"] = {name: row[name] for name in row if name not in self._names}
        return True

    def _as_text(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whatever a text column is given, as text: exact numbers, dates, lists as JSON."""
        assert self._type is not None
        named = {field.name for field in self._type if pa.types.is_string(field.type)}
        return {name: _text(value) if name in named else value for name, value in row.items()}

    def _fault(self, row: Mapping[str, Any]) -> str | None:
        assert self._type is not None
        for field in self._type:
            try:
                pa.array([row.get(field.name)], field.type)
            except _REFUSALS:
                kind = type(row.get(field.name)).__name__
                return f"column {field.name!r} is {field.type}, here a {kind}; say it in `columns`"
        return None


def _inferred(rows: Sequence[Mapping[str, Any]]) -> pa.StructType:
    """Column by column; where values do not agree, or all are null, text."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return pa.struct([(name, _kind([row.get(name) for row in rows])) for name in names])


def _kind(values: list[Any]) -> pa.DataType:
    try:
        found = pa.array(values).type
    except _REFUSALS:
        return pa.string()
    if pa.types.is_null(found) or pa.types.is_decimal(found) or pa.types.is_nested(found):
        return pa.string()  # nothing known yet; digits yet to come; fields yet to come
    return pa.timestamp("us", tz="UTC") if pa.types.is_timestamp(found) and found.tz else found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list | bool):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)
