"""An operator: a pure function from a batch of records to a batch of records.

Operators annotate first and cut last. A rule writes the numbers it judged by and, where it fires, a cause into
`drop`; rows leave only in the final cut, so thresholds re-tune without recomputing and every lost row has a
named cause. An operator is a frozen dataclass: its fields are its parameters, and they, its name and its
version are part of the key of what it makes. It knows neither files nor workers.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from tenfold.data import record
from tenfold.data.arrow import call, filled


class Operator(Protocol):
    """Deterministic: the same batch and parameters give the same bytes, whatever ran before."""

    name: ClassVar[str]
    version: ClassVar[str]
    """Raised whenever the output may differ for the same input."""
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[tuple[str, ...]]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch: ...


ELSEWHERE = "elsewhere"
"""In the metadata of a field: it says where something lies on this machine, and decides no byte."""


def identity(operator: Operator) -> dict[str, Any]:
    """What the key of a stage holds of an operator: plain JSON values."""
    parameters = dataclasses.asdict(operator)  # type: ignore[call-overload]
    for field in dataclasses.fields(operator):  # type: ignore[arg-type]
        if field.metadata.get(ELSEWHERE):
            del parameters[field.name]
    return {"name": operator.name, "version": operator.version, "parameters": parameters}


def with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """The batch with `values` as column `name`, in its place where it was there before, else at the end."""
    index = batch.schema.get_field_index(name)
    if index < 0:
        return batch.append_column(name, values)
    return batch.set_column(index, name, values)


def dropped(batch: pa.RecordBatch, fires: pa.Array, cause: str) -> pa.RecordBatch:
    """The batch with `cause` where `fires` (boolean) is true and no earlier cause stands."""
    before = batch.column(record.DROP)
    fresh = call("and", filled(fires, False), call("is_null", before))
    return with_column(batch, record.DROP, call("if_else", fresh, pa.scalar(cause), before))
