"""A stage: a fused list of operators. One job reads one segment and writes one, with the same rows.

Nothing is written between operators: a batch goes through all of them while it is in the cache. The key is
the segment's digest and the operators' identities, so a stage is done again for new segments only, and an
operator whose parameters or version changed is done again for all. Knows no operator by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.core.segment import Segment, read_batches
from tenfold.data import operator, record
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.writer import SegmentWriter
from tenfold.data.operator import Operator
from tenfold.errors import ConfigError, InputError, TenfoldError

PAYLOADS = frozenset({record.TEXT, record.IMAGE, record.ROW})


@dataclass(frozen=True, slots=True)
class StageJob:
    """`operators` over the segment at `path`, whose digest is `segment`."""

    segment: str
    path: Path
    operators: tuple[Operator, ...]

    @property
    def key(self) -> str:
        identities = [operator.identity(each) for each in self.operators]
        return job_key("stage", segment=self.segment, operators=identities)

    @property
    def label(self) -> str:
        return f"segment {self.segment[:12]}"


def run_stage(job: StageJob, folder: Path) -> Mapping[str, Any]:
    """The refined segment. Raises InputError naming operator and segment, StoreFull."""
    refined = (_through(batch, job) for batch in read_batches(job.path))
    return write_first(folder / FILE, refined).to_json()


def check_order(operators: Sequence[Operator], columns: Sequence[str]) -> None:
    """Raises ConfigError where an operator reads a column that neither the records nor an earlier one has."""
    known = set(columns)
    for each in operators:
        payloads = set(each.reads) & PAYLOADS
        wanted = set(each.reads) - (payloads if payloads & known else set())  # one of them will do
        if missing := sorted(wanted - known):
            raise ConfigError(
                f"the operator {each.name} reads columns that are not there yet",
                seen=missing,
                hint=f"put the operator that writes them before it; there are {', '.join(sorted(known))}",
            )
        known |= set(each.writes)


def columns_of(path: Path) -> list[str]:
    """Of a segment."""
    return list(pq.read_schema(path).names)


def write_first(path: Path, batches: Iterator[pa.RecordBatch]) -> Segment:
    """A segment of at least one batch; the first one says which columns it has."""
    first = next(batches)
    with SegmentWriter(path, first.schema) as writer:
        writer.write(first)
        for batch in batches:
            writer.write(batch)
        return writer.close()


def _through(batch: pa.RecordBatch, job: StageJob) -> pa.RecordBatch:
    for each in job.operators:
        rows = batch.num_rows
        try:
            batch = each(batch)
        except TenfoldError:
            raise
        except Exception as error:
            raise InputError(
                f"the operator {each.name} failed: {type(error).__name__}: {error}", where=job.label
            ) from error
        if batch.num_rows != rows:
            raise InputError(
                f"the operator {each.name} must keep every row and mark what goes",
                where=job.label,
                seen=f"{rows} rows in, {batch.num_rows} out",
            )
    return batch
