"""The texts of a batch, whatever it holds: the text itself, or every text field of its rows.

Images have none. Knows no recogniser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from tenfold.data import record
from tenfold.data.operator import with_column

Texts = Sequence[str | None]


def is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def columns(batch: pa.RecordBatch) -> list[pa.Array]:
    """Each an array of texts as long as the batch."""
    if record.TEXT in batch.schema.names:
        return [batch.column(record.TEXT)]
    if record.ROW not in batch.schema.names:
        return []
    row = batch.column(record.ROW)
    return [field for field in row.flatten() if is_text(field.type)]


def exchanged(batch: pa.RecordBatch, change: Callable[[Texts], list[str | None]]) -> pa.RecordBatch:
    """The batch with every array of texts put through `change`, which keeps its length."""

    def fresh(before: pa.Array) -> pa.Array:
        return pa.array(change(before.to_pylist()), before.type)

    if record.TEXT in batch.schema.names:
        return with_column(batch, record.TEXT, fresh(batch.column(record.TEXT)))
    if record.ROW not in batch.schema.names:
        return batch
    row = batch.column(record.ROW)
    fields = [fresh(field) if is_text(field.type) else field for field in row.flatten()]
    made = pa.StructArray.from_arrays(fields, fields=list(row.type), mask=row.is_null())
    return with_column(batch, record.ROW, made)
