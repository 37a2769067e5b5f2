"""One job of augmentation: a segment in, the same records and their children out. Knows no operator by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenfold.core.segment import read_batches
from tenfold.data import operator
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.stage import write_first
from tenfold.data.operator import Operator


@dataclass(frozen=True, slots=True)
class AugmentJob:
    """`operators`, each of which makes children of a batch."""

    segment: str
    path: Path
    operators: tuple[Operator, ...]

    @property
    def key(self) -> str:
        identities = [operator.identity(each) for each in self.operators]
        return job_key("augment", segment=self.segment, operators=identities)

    @property
    def label(self) -> str:
        return f"segment {self.segment[:12]}"


def run_augment(job: AugmentJob, folder: Path) -> Mapping[str, Any]:
    """The segment with children behind each batch. Raises InputError, StoreFull."""
    return write_first(folder / FILE, _families(job)).to_json()


def _families(job: AugmentJob) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(job.path):
        yield batch
        for each in job.operators:
            children = each(batch)
            if children.num_rows:
                yield children
