"""Operators for tests of the hub; in a module of their own so that workers can import them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
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
class DiesOnce:
    """Kills its worker where no file `mark` lies, and leaves one."""

    name: ClassVar[str] = "dies"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()

    mark: str
    always: bool = False

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.always or not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuses:
    name: ClassVar[str] = "refuses"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise ValueError("never")
