"""The cut: what is marked as dropped goes, and a line for each in the drop ledger says why.

Here alone do rows leave. Limits over figures that operators wrote are applied here, so a threshold is tuned
again without computing a figure again; a cause can be left unapplied. One job reads one segment and writes
two files: what stays, and the ledger of what went (id, source, place, cause). Knows figures by name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenfold.core.segment import Segment, read_batches
from tenfold.data import operator, record
from tenfold.data.arrow import among, call, where
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.writer import SegmentWriter, regrouped
from tenfold.errors import InputError

LEDGER = "ledger.parquet"
LEDGER_COLUMNS = (record.ID, record.SOURCE, record.PLACE, record.DROP)
CAUSE = "cut."
"""What a limit's cause begins with: `cut.COLUMN`."""


@dataclass(frozen=True, slots=True)
class CutJob:
    segment: str
    path: Path
    limits: tuple[tuple[str, float | None, float | None], ...]
    """(column, min, max), in the order in which they are applied."""
    spare: tuple[str, ...]
    """Causes that are not applied: their records stay."""

    @property
    def key(self) -> str:
        limits = [list(limit) for limit in self.limits]
        return job_key("cut", segment=self.segment, limits=limits, spare=list(self.spare))

    @property
    def label(self) -> str:
        return f"segment {self.segment[:12]}"


def run_cut(job: CutJob, folder: Path) -> Mapping[str, Any]:
    """What stays of a segment, with the ledger of what went. Raises InputError for an unknown column."""
    source = read_batches(job.path)
    first = next(source)
    ledger_schema = pa.schema([first.schema.field(name) for name in LEDGER_COLUMNS])
    with SegmentWriter(folder / LEDGER, ledger_schema) as ledger:

        def staying() -> Iterator[pa.RecordBatch]:
            for batch in (judged(each, job) for each in _chained(first, source)):
                goes = call("is_valid", batch.column(record.DROP))
                gone = where(batch, goes)
                if gone.num_rows:
                    ledger.write(gone.select(list(LEDGER_COLUMNS)))
                yield where(batch, call("invert", goes))

        with SegmentWriter(folder / FILE, first.schema) as writer:
            for batch in regrouped(staying()):
                writer.write(batch)
            kept = writer.close()
        lost = ledger.close()
    return {"kept": kept.to_json(), "lost": lost.to_json()}


def parts_of(meta: Mapping[str, Any]) -> tuple[Segment, Segment]:
    """What stayed and what went, of what `run_cut` said."""
    return Segment.from_json(meta["kept"]), Segment.from_json(meta["lost"])


def judged(batch: pa.RecordBatch, job: CutJob) -> pa.RecordBatch:
    """With spared causes taken back and limits applied, in that order."""
    drop = batch.column(record.DROP)
    if job.spare:
        spared = among(drop, job.spare)
        batch = operator.with_column(
            batch, record.DROP, call("if_else", spared, pa.scalar(None, pa.string()), drop)
        )
    for name, least, most in job.limits:
        if batch.schema.get_field_index(name) < 0:
            known = [field for field in batch.schema.names if field not in record.ABOUT.names]
            raise InputError(
                f"a limit over a figure that is not there: {name!r}",
                where=job.label,
                hint=f"there are {', '.join(known)}",
            )
        figures = batch.column(name)
        for bound, misses in ((least, "less"), (most, "greater")):
            if bound is not None:
                batch = operator.dropped(
                    batch, call(misses, figures, pa.scalar(bound)), CAUSE + name
                )
    return batch


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
