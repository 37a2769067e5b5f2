"""Operators for tests of the hub; in a module of their own so that workers can import them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Marks texts shorter than `least`."""

    name: ClassVar[str] = "length"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("length.characters",)

    least: int = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pc.utf8_length(batch.column("text"))
        batch = operator.with_column(batch, "length.characters", lengths)
        return operator.dropped(batch, pc.less(lengths, self.least), "length.short")


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """Notes the first id of every batch in the file $SAID, past every cache, and takes $SAYING_S for it.

    They are no parameters: where and how slowly it is done is no part of what is made.
    """

    name: ClassVar[str] = "says"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = ("id",)
    writes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        descriptor = os.open(os.environ["SAID"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{batch.column('id')[0]}\n".encode())
        os.close(descriptor)
        time.sleep(float(os.environ.get("SAYING_S", "0")))
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuses:
    """Breaks, loses a row, or adds a column to some batches only."""

    name: ClassVar[str] = "refuses"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()

    how: str

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.how == "breaks":
            raise ValueError("never")
        return batch.slice(1)
