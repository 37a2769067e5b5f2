"""Writes segments: the same batches give the same bytes, whole or not at all.

One batch is one row group. The settings of the writer are fixed here and nowhere else. The keyed hashes of
the persons a segment speaks of stand in its footer, so whoever rewrites it rewrites them too. Knows no store.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.core.segment import Segment, read_batches
from tenfold.data import record
from tenfold.data.arrow import call, where
from tenfold.data.hub.sizes import row_bytes
from tenfold.data.hub.subjects import SubjectFilter
from tenfold.errors import InputError, StoreFull

FORMAT = "1"
"""Raised whenever the same batches may give other bytes; keys of jobs hold it."""
GROUP_BYTES = 8 << 20
"""What a batch is filled up to, bytes in memory: what a worker holds is a few times this."""
SUBJECTS_KEY = b"tenfold.subjects"

_REPEATING = [record.SOURCE, record.MODALITY, record.LICENCE, record.DROP]
"""Few distinct values: stored once per row group."""
_RANGED = [record.TIME, record.AUTHORITY]
"""Columns with least and greatest value per row group. Never of texts: a statistic is a copy."""


class SegmentWriter:
    """A context. Leaving it after an error leaves no file; `segment` is there after `close`."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema.remove_metadata()
        self._half = path.with_name(f".{path.name}.half")
        self._facts = _Facts(self.schema)
        self.segment: Segment | None = None
        with room(path):
            self._sink = _Hashed(self._half.open("wb"))
        self._writer = pq.ParquetWriter(
            self._sink,
            self.schema,
            version="2.6",
            compression="zstd",
            compression_level=1,  # 3 saves 6 % more at twice the time
            use_dictionary=[name for name in _REPEATING if name in self.schema.names],
            write_statistics=[name for name in _RANGED if name in self.schema.names],
            data_page_version="1.0",
            store_schema=True,
            use_compliant_nested_type=False,  # a list read back has the type it was written with
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """One row group. Raises InputError for other columns than before, StoreFull."""
        if not batch.schema.equals(self.schema):
            raise InputError(
                "a batch has other columns than the segment it goes to",
                where=self.path.name,
                seen=sorted(set(map(str, batch.schema)) ^ set(map(str, self.schema))),
                hint="an operator must add the same columns to every batch",
            )
        self._facts.add(batch)
        with room(self.path):
            self._writer.write_batch(batch, row_group_size=max(1, batch.num_rows))

    def close(self) -> Segment:
        """Whole under its name from here on. Raises StoreFull."""
        with room(self.path):
            if record.SUBJECTS in self.schema.names:
                stored = SubjectFilter.of(self._facts.subjects).to_bytes()
                self._writer.add_key_value_metadata({SUBJECTS_KEY: stored.hex().encode()})
            self._writer.close()
            self._sink.close()
            os.replace(self._half, self.path)
        self.segment = self._facts.segment(self._sink.sha256.hexdigest(), self._sink.num_bytes)
        return self.segment

    def abandon(self) -> None:
        with contextlib.suppress(Exception):  # it wants to write a footer, perhaps to a full disk
            self._writer.close()
        with contextlib.suppress(OSError):
            self._sink.close()
        self._half.unlink(missing_ok=True)

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.segment is not None:
            return
        try:
            if kind is None:
                self.close()
        finally:
            if self.segment is None:
                self.abandon()


def write_segment(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Segment:
    """All `batches` as one file, each a row group. Raises StoreFull, InputError; then there is no file."""
    with SegmentWriter(path, schema) as writer:
        for batch in batches:
            writer.write(batch)
        return writer.close()


def described(path: Path) -> Segment:
    """What a manifest says of a segment that lies there already."""
    facts = _Facts(pq.read_schema(path).remove_metadata())
    for batch in read_batches(path):
        facts.add(batch)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return facts.segment(sha256, path.stat().st_size)


def subjects_of(path: Path) -> SubjectFilter:
    """Whom a segment may speak of; reads its footer only."""
    found = pq.read_metadata(path).metadata or {}
    return SubjectFilter.from_bytes(bytes.fromhex(found.get(SUBJECTS_KEY, b"4c").decode()))


def regrouped(
    batches: Iterable[pa.RecordBatch], group_bytes: int = GROUP_BYTES
) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most `group_bytes` or one row: what comes out depends on rows alone."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        start = 0
        for row, size in enumerate(row_bytes(batch).tolist()):
            if held and held + size > group_bytes:
                yield pa.concat_batches([*waiting, batch.slice(start, row - start)])
                waiting, start, held = [], row, 0
            held += size
        if start < batch.num_rows:
            waiting.append(batch.slice(start))
    if waiting:
        yield pa.concat_batches(waiting)


class _Facts:
    """What the manifest says of a segment, gathered while it is written."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = frozenset(schema.names)
        self._rows = 0
        self._times: list[int] = []
        self._drops: Counter[str] = Counter()
        self._licences: Counter[str] = Counter()
        self.subjects: set[bytes] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows
        if record.DROP in self._names:
            drops = batch.column(record.DROP)
            _count(self._drops, call("drop_null", drops))
            if record.LICENCE in self._names:
                _count(self._licences, where(batch.column(record.LICENCE), call("is_null", drops)))
        if record.TIME in self._names:
            span = call("min_max", batch.column(record.TIME)).values()
            self._times += [moment.value for moment in span if moment.is_valid]
        if record.SUBJECTS in self._names:
            spoken_of = call("list_flatten", batch.column(record.SUBJECTS))
            self.subjects.update(call("unique", spoken_of).to_pylist())

    def segment(self, sha256: str, num_bytes: int) -> Segment:
        return Segment(
            sha256=sha256,
            num_bytes=num_bytes,
            rows=self._rows,
            kept=self._rows - self._drops.total(),
            first_us=min(self._times, default=None),
            last_us=max(self._times, default=None),
            drops=dict(sorted(self._drops.items())),
            licences=dict(sorted(self._licences.items())),
        )


def _count(counts: Counter[str], values: pa.Array) -> None:
    for pair in call("value_counts", values).to_pylist():
        counts[pair["values"]] += pair["counts"]


class _Hashed:
    """A file that is digested on its way out. What the disk says comes through as it was said."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        written = memoryview(data)
        self.sha256.update(written)
        self.num_bytes += written.nbytes
        self._file.write(written)
        return written.nbytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed


@contextlib.contextmanager
def room(path: Path) -> Iterator[None]:
    """Writing to a full disk inside raises StoreFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise StoreFull(
            "no room to write a segment",
            where=str(path),
            seen=error.strerror,
            hint="free some space and run again: finished segments are kept, this one is made anew",
        ) from error
