"""Operators that look for personal data with a shape: `pii.find` counts it, `pii.redact` takes it out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from tenfold.core import pii
from tenfold.data import record
from tenfold.data.operator import with_column
from tenfold.data.privacy.texts import Texts, columns, exchanged
from tenfold.errors import ConfigError


def checked_kinds(kinds: tuple[str, ...]) -> None:
    """Raises ConfigError for a kind that nobody knows: it would be looked for in vain."""
    for kind in kinds:
        if kind not in pii.EVERY:
            raise ConfigError("no such kind of personal data", seen=kind, hint=", ".join(pii.EVERY))


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiFind:
    """Adds `pii.find.KIND`, the number of finds (int32) of each kind, and `pii.find.spans`, all of them."""

    name: ClassVar[str] = "pii.find"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.ROW)
    writes: ClassVar[tuple[str, ...]] = ("pii.find.*",)
    kinds: tuple[str, ...] = pii.EVERY

    def __post_init__(self) -> None:
        checked_kinds(self.kinds)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        counts = [[0] * batch.num_rows for _ in self.kinds]
        place = {kind: counts[index] for index, kind in enumerate(self.kinds)}
        for texts in columns(batch):
            for row, spans in enumerate(_found(texts.to_pylist(), self.kinds)):
                for span in spans:
                    place[span.kind][row] += 1
        for kind in self.kinds:
            batch = with_column(batch, f"{self.name}.{kind}", pa.array(place[kind], pa.int32()))
        total = [sum(row) for row in zip(*counts, strict=True)] if counts else [0] * batch.num_rows
        return with_column(batch, f"{self.name}.spans", pa.array(total, pa.int32()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiRedact:
    """Every find becomes its kind, as in `[EMAIL]`; `pii.redact.spans` counts them (int32)."""

    name: ClassVar[str] = "pii.redact"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.ROW)
    writes: ClassVar[tuple[str, ...]] = (record.TEXT, record.ROW, "pii.redact.spans")
    kinds: tuple[str, ...] = pii.KINDS

    def __post_init__(self) -> None:
        checked_kinds(self.kinds)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        counts = [0] * batch.num_rows

        def redacted(texts: Texts) -> list[str | None]:
            made: list[str | None] = []
            for row, spans in enumerate(_found(texts, self.kinds)):
                text, seen = texts[row], Counter[str]()
                if spans and text is not None:  # taking one out may bring another into view
                    text, seen = pii.redact_counted(text, self.kinds)
                counts[row] += seen.total()
                made.append(text)
            return made

        batch = exchanged(batch, redacted)
        return with_column(batch, f"{self.name}.spans", pa.array(counts, pa.int32()))


def _found(texts: Texts, kinds: tuple[str, ...]) -> list[list[pii.Span]]:
    return pii.find_many([text or "" for text in texts], kinds)
