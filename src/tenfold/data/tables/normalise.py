"""`tables.normalise`: rows of text in one form, the original beside them.

`plans` looks at a whole table once; the operator reads each batch by those plans, so that a batch's bytes do
not depend on its neighbours. Cells that a plan cannot read are null and named. Knows no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from tenfold.data import record
from tenfold.data.operator import with_column
from tenfold.data.tables.column import Plan, apply, infer
from tenfold.errors import InputError

ROW = "tables.normalise.row"
UNREAD = "tables.normalise.unread"


def plans(table: pa.Table) -> tuple[Plan, ...]:
    """One per text column, from all its cells. Columns that have a type already are left alone."""
    return tuple(
        infer(field.name, table.column(field.name).to_pylist())
        for field in table.schema
        if _is_text(field.type)
    )


def normalised(table: pa.Table, by: tuple[Plan, ...]) -> tuple[pa.Table, dict[str, list[int]]]:
    """The table with the planned columns read, `<name>.currency` beside money; column -> unread rows."""
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {
        name: table.column(name) for name in table.column_names
    }
    unread = {}
    for plan in by:
        if plan.name not in arrays:
            raise InputError("a planned column is not there", where=plan.name, seen=list(arrays))
        values, currencies, places = apply(plan, table.column(plan.name).to_pylist())
        arrays[plan.name] = values
        if plan.kind == "money":
            arrays[f"{plan.name}.currency"] = pa.array(currencies, pa.string())
        if places:
            unread[plan.name] = places
    return pa.table(arrays), unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """Annotates rows (a struct of text fields) with the same rows read by `by`."""

    name: ClassVar[str] = "tables.normalise"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.ROW,)
    writes: ClassVar[tuple[str, ...]] = (ROW, UNREAD)

    by: tuple[Plan, ...]
    """From `plans`, of the whole table."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.column(record.ROW)
        names = [field.name for field in rows.type]
        flat = pa.Table.from_arrays(rows.flatten(), names=names)
        table, unread = normalised(flat, self.by)
        columns = [column.combine_chunks() for column in table.columns]
        struct = pa.StructArray.from_arrays(columns, names=table.column_names, mask=rows.is_null())
        named: list[list[str]] = [[] for _ in range(batch.num_rows)]
        for column, places in unread.items():
            for place in places:
                named[place].append(column)
        batch = with_column(batch, ROW, struct)
        return with_column(batch, UNREAD, pa.array(named, pa.list_(pa.string())))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
