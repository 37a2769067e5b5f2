"""About how much memory each row takes, told from the row alone: boundaries that follow sizes then depend on
the rows, never on the batches they came in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tenfold.data.arrow import call, filled


def row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """int64 (num_rows,)"""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        total += _sizes(column)
    return total


def _sizes(column: pa.Array) -> np.ndarray:
    kind = column.type
    if pa.types.is_struct(kind):
        return sum((_sizes(part) for part in column.flatten()), np.zeros(len(column), np.int64))
    if pa.types.is_list(kind):
        return 4 + 32 * _filled(call("list_value_length", column))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return 4 + _filled(call("binary_length", column))
    return np.full(len(column), 8, np.int64)


def _filled(lengths: pa.Array) -> np.ndarray:
    plain: np.ndarray = filled(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return plain
