"""A segment: one immutable Parquet file of records, named by its content. What is known of it, and reading it.

Its row groups are the batches: a few megabytes each, so that reading one never needs the whole file. Writing
is the data room's business. pyarrow is imported when a file is read, never before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa

DROP = "drop"
"""The column that is null where a record stays, and otherwise names the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a snapshot says of one of its files."""

    sha256: str
    num_bytes: int
    rows: int
    kept: int
    """Rows that are not marked as dropped."""
    first_us: int | None = None
    """The earliest time of a record, microseconds since 1970 UTC; None: no record has a time."""
    last_us: int | None = None
    drops: Mapping[str, int] = field(default_factory=dict)
    """Cause -> rows marked with it."""
    licences: Mapping[str, int] = field(default_factory=dict)
    """Licence -> kept rows."""

    @property
    def file(self) -> str:
        """Its name inside a snapshot."""
        return f"segments/{self.sha256}.parquet"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Segment:
        return cls(**plain)


def read_batches(
    path: Path, columns: Sequence[str] | None = None, *, kept_only: bool = False
) -> Iterator[pa.RecordBatch]:
    """One batch per row group, in order; columns in the order asked for. Rows of one batch are contiguous.

    Raises MissingExtra without pyarrow, InputError for a file that is no Parquet or lacks a column.
    """
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingExtra(
            "the package 'pyarrow' is not installed; it is needed to read segments",
            hint="pip install 'tenfold[data]'",
        ) from None
    from pyarrow import ArrowInvalid

    try:
        file = pq.ParquetFile(path, memory_map=True)
    except ArrowInvalid as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path)) from None
    with file:
        names = file.schema_arrow.names
        wanted = list(names if columns is None else columns)
        if missing := sorted(set(wanted) - set(names)):
            raise InputError(
                "the segment lacks columns", where=str(path), seen=missing,
                hint=f"it has {', '.join(names)}",
            )  # fmt: skip
        filtered = kept_only and DROP in names
        read = [*wanted, DROP] if filtered and DROP not in wanted else wanted
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=read, use_threads=False)
            if filtered and table[DROP].null_count < table.num_rows:
                table = table.filter(table[DROP].is_null())
            yield single(table.select(wanted))


def read_rows(path: Path, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    """A few rows by their number, as Python values; of `columns`, those that are there. Reads only their row
    groups. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingExtra(
            "the package 'pyarrow' is not installed; it is needed to read segments",
            hint="pip install 'tenfold[data]'",
        ) from None
    found: dict[int, dict[str, Any]] = {}
    with pq.ParquetFile(path, memory_map=True) as file:
        names = [name for name in columns if name in file.schema_arrow.names]
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if inside := [row for row in rows if start <= row < end]:
                table = file.read_row_group(group, columns=names, use_threads=False)
                picked = table.take([row - start for row in inside]).to_pylist()
                found.update(zip(inside, picked, strict=True))
            start = end
    return [found[row] for row in rows if row in found]


def single(table: pa.Table) -> pa.RecordBatch:
    """A table of a few megabytes as one batch, also when it has no row."""
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.RecordBatch.from_pylist([], schema=table.schema)
