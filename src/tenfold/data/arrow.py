"""Arrow's own functions over columns, by the names its documentation lists them under.

The same functions as `pyarrow.compute`, which wraps all 281 of them when it is imported, with signatures that
it reads out of their documentation: 35 ms of CPU before the first record. What every run passes through calls
them here; an operator may import `pyarrow.compute` as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyarrow._compute import (
    FilterOptions,
    MatchSubstringOptions,
    SetLookupOptions,
    call_function,
)


def call(name: str, *arguments: Any) -> Any:
    """The function `name` with its default options, as `pyarrow.compute.call_function` calls it."""
    return call_function(name, list(arguments))


def filled(column: pa.Array, value: Any) -> pa.Array:
    """`value` where the column is null."""
    return call("coalesce", column, pa.scalar(value, column.type))


def where(batch: Any, mask: pa.Array) -> Any:
    """The rows (of an array, a batch or a table) where `mask` is true; null is not true."""
    return call_function("filter", [batch, mask], FilterOptions())


def among(column: pa.Array, values: Sequence[str]) -> pa.Array:
    """True where the column has one of `values`."""
    return call_function("is_in", [column], SetLookupOptions(pa.array(values, column.type)))


def mentioning(column: pa.Array, piece: str) -> pa.Array:
    """The texts that hold `piece`."""
    return where(column, call_function("match_substring", [column], MatchSubstringOptions(piece)))
