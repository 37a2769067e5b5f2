"""A column of text as the kernels see it: one array of UTF-8 bytes, one of where each text begins and ends.

Nothing is copied on the way in. Knows Arrow's layout of strings and nothing about what the texts say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]

_NOTHING = np.frombuffer(b"\0", dtype=np.uint8)


def views(column: pa.Array) -> tuple[Bytes, Offsets]:
    """The bytes of all texts and the n + 1 offsets into them; a null reads as empty.

    Raises TypeError when the column holds something other than strings.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise TypeError(f"a column of strings is wanted, not of {column.type}")
    if column.null_count:
        column = column.fill_null("")
    if not len(column):
        return _NOTHING, np.zeros(1, dtype=np.int64)
    width = np.int32 if pa.types.is_string(column.type) else np.int64
    _, places, data = column.buffers()
    first = column.offset
    offsets = np.frombuffer(places, dtype=width)[first : first + len(column) + 1].astype(np.int64)
    if data is None or data.size == 0:
        return _NOTHING, offsets
    # Arrow says of some buffers that they may be written to; one kind of array is one compilation of a kernel.
    return np.frombuffer(memoryview(data).toreadonly(), dtype=np.uint8), offsets


def with_rows(texts: pa.Array, changed: Mapping[int, str]) -> pa.Array:
    """The column with the texts of `changed` in their rows; the same column when there are none."""
    if not changed:
        return texts
    rows = np.zeros(len(texts), dtype=bool)
    rows[list(changed)] = True
    fresh = pa.array([changed[row] for row in sorted(changed)], type=texts.type)
    return pc.replace_with_mask(texts, pa.array(rows), fresh)


def floats(values: npt.NDArray[Any], judged: Rows) -> pa.Array:
    """float32 with nulls in the rows that were not judged."""
    return pa.array(values.astype(np.float32), mask=~judged)
