"""A table as numbers: each column as float64 with NaN for missing, or as codes with -1 for missing.

Decodes back to the same Arrow types. Knows nothing of how rows are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.errors import InputError

MAX_DECIMALS = 9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One column of n values."""

    name: str
    type: pa.DataType
    kind: Literal["number", "category"]
    values: np.ndarray
    """(n,) float64 with NaN, or int64 codes into `categories` with -1."""
    categories: pa.Array | None = None
    """Distinct values in sorted order, of a category column."""
    step: float = 0.0
    """The grid that all numbers lie on (1 for integers, 0.01 for cents); 0: none that could be seen."""

    @property
    def missing(self) -> np.ndarray:
        """(n,) bool"""
        return self.values < 0 if self.kind == "category" else np.isnan(self.values)

    @property
    def codes(self) -> np.ndarray:
        """(n,) int64: equal values have equal codes, from 0; missing is -1."""
        if self.kind == "category":
            return self.values
        codes = np.unique(self.values, return_inverse=True)[1].astype(np.int64)
        return np.where(np.isnan(self.values), -1, codes)


def columns(table: pa.Table) -> dict[str, Column]:
    """Every column by name. Raises InputError for nested or binary columns and for infinite numbers."""
    return {name: _column(name, table.column(name)) for name in table.column_names}


def decoded(column: Column, values: np.ndarray) -> pa.Array:
    """Numbers or codes in the form of `column.values` (any count) as Arrow values of its type."""
    if column.categories is not None:
        codes = pa.array(values, pa.int32(), mask=values < 0)
        found = column.categories.take(codes)
        return found if found.type == column.type else found.cast(column.type)
    mask = np.isnan(values)
    plain = np.where(mask, 0.0, values)
    target = column.type
    if pa.types.is_floating(target):
        return pa.array(plain, pa.float64(), mask=mask).cast(target)
    whole = np.rint(plain) if not pa.types.is_decimal(target) else plain
    if pa.types.is_decimal(target):
        return pa.array(np.round(whole, target.scale), pa.float64(), mask=mask).cast(target)
    storage = pa.array(whole.astype(np.int64), pa.int64(), mask=mask)
    if pa.types.is_integer(target):
        return storage.cast(target)
    return storage.cast(_storage(target)).cast(target)


def table_of(
    like: Mapping[str, Column], values: Mapping[str, np.ndarray], schema: pa.Schema
) -> pa.Table:
    """The columns of `like` filled with `values`, in the order of `schema`."""
    arrays = [decoded(like[name], values[name]) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema.remove_metadata())


def row_keys(table: pa.Table) -> np.ndarray:
    """(n,) object: one key per row; equal rows have equal keys. Tables of one schema may be compared."""
    numbers = []
    for name in table.column_names:
        values = table.column(name).combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        numbers.append([repr(value) for value in values.to_pylist()])
    return np.array(["\x1f".join(row) for row in zip(*numbers, strict=True)], dtype=object)


def _storage(target: pa.DataType) -> pa.DataType:
    return pa.int32() if target.bit_width == 32 else pa.int64()


def _column(name: str, chunked: pa.ChunkedArray) -> Column:
    target = chunked.type
    values = chunked.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], target)
    if pa.types.is_dictionary(target):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        values, kind = values.cast(pa.string()), pa.string()
    if pa.types.is_boolean(kind) or _is_text(kind):
        return _category(name, target, values)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64())
    elif pa.types.is_integer(kind):
        numbers = values.cast(pa.float64(), safe=False)
    elif pa.types.is_temporal(kind) and kind.bit_width in (32, 64):
        numbers = values.cast(_storage(kind)).cast(pa.float64(), safe=False)
    else:
        raise InputError(
            "columns of this type cannot be synthesised or judged",
            where=name,
            seen=str(target),
            hint="leave the column out, or split it into plain columns",
        )
    plain = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    if np.isinf(plain).any():
        raise InputError("infinite numbers", where=name, seen=int(np.isinf(plain).sum()))
    return Column(name=name, type=target, kind="number", values=plain, step=_step(plain))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _category(name: str, target: pa.DataType, values: pa.Array) -> Column:
    distinct = pc.unique(values).drop_null()
    distinct = distinct.take(pc.array_sort_indices(distinct))
    codes = pc.fill_null(pc.index_in(values, distinct), -1).to_numpy(zero_copy_only=False)
    return Column(
        name=name, type=target, kind="category", values=codes.astype(np.int64), categories=distinct
    )


def _step(values: np.ndarray) -> float:
    """The coarsest power of ten that all values are multiples of (1 at most); 0 where none is seen."""
    present = values[~np.isnan(values)]
    for decimals in range(MAX_DECIMALS + 1):
        if np.allclose(np.round(present, decimals), present, rtol=1e-12, atol=0):
            return float(10.0**-decimals)
    return 0.0
