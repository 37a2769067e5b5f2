"""One job reads one source and writes what it gave: segments of records, and a file of what could not be read.

The key is the source's settings and what it looked like: a source that did not change is not read again when
another one did. Knows connectors by their contract, no format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenfold.data import record
from tenfold.data.hub.cutting import segments
from tenfold.data.hub.job import job_key
from tenfold.data.hub.writer import SegmentWriter, regrouped, write_segment
from tenfold.data.sources.connector import Connector, Quarantined, Reading

QUARANTINE = "quarantine.parquet"
QUARANTINE_SCHEMA = pa.schema(
    [("place", pa.string()), ("cause", pa.string()), ("fact", pa.string()), ("raw", pa.binary())]
)
_LINES = 1000
"""Quarantined things in a row group: at most 4 KiB each."""


@dataclass(frozen=True, slots=True)
class ReadingJob:
    connector: Connector
    settings: Mapping[str, Any]
    """The connector's, as plain JSON values."""
    observed: Any
    """What `connector.observe()` said."""
    segment_bytes: int
    cursor: str | None = None
    """Only what comes after it is read."""

    @property
    def key(self) -> str:
        return job_key(
            "reading",
            settings=dict(self.settings),
            observed=self.observed,
            segment_bytes=self.segment_bytes,
            cursor=self.cursor,
        )

    @property
    def label(self) -> str:
        return f"source {self.connector.name}"


def read_source(job: ReadingJob, folder: Path) -> Mapping[str, Any]:
    """Files `SHA256.parquet` and, where something could not be read, QUARANTINE. Raises StoreFull, and what
    the connector raises when its source cannot be reached."""
    reading = Reading(job.connector, job.cursor)
    found = []
    modality = None
    with _Aside(folder / QUARANTINE) as aside:
        for batches in segments(aside.without(reading), job.segment_bytes):
            first = next(batches)
            modality = first.schema.names[len(record.ABOUT)]
            growing = folder / "growing"
            whole = chain([first], batches)
            segment = write_segment(growing, regrouped(whole), first.schema)
            growing.rename(folder / f"{segment.sha256}.parquet")
            found.append(segment.to_json())
    return {
        "segments": found,
        "quarantine": dict(sorted(aside.causes.items())),
        "modality": modality,
        "cursor": reading.cursor,
        "integration": reading.integration.metrics(),
    }


class _Aside:
    """Takes what could not be read out of a reading, into a file that is there only when something was."""

    def __init__(self, path: Path) -> None:
        self.causes: Counter[str] = Counter()
        self._writer = SegmentWriter(path, QUARANTINE_SCHEMA)
        self._lines: list[dict[str, Any]] = []

    def without(self, items: Iterable[pa.RecordBatch | Quarantined]) -> Iterator[pa.RecordBatch]:
        for item in items:
            if not isinstance(item, Quarantined):
                yield item
                continue
            self.causes[item.cause] += 1
            self._lines.append({name: getattr(item, name) for name in QUARANTINE_SCHEMA.names})
            if len(self._lines) >= _LINES:
                self._flush()

    def _flush(self) -> None:
        if self._lines:
            self._writer.write(pa.RecordBatch.from_pylist(self._lines, QUARANTINE_SCHEMA))
            self._lines.clear()

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self.causes:
                self._flush()
                self._writer.close()
        finally:
            if self._writer.segment is None:
                self._writer.abandon()
