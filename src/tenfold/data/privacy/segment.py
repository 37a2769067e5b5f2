"""Parquet for the eraser: what its columns hold as bytes, and the file again without a person's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenfold.core.segment import single
from tenfold.data.hub.writer import SegmentWriter
from tenfold.data.privacy.traces import Traces

if TYPE_CHECKING:
    from tenfold.data.privacy.search import Opener

_ROWS = 16_384
_APART = b"\x1f"
SUBJECTS = "subjects"
Rows = np.ndarray | None


def column_pieces(opener: Opener) -> Iterator[bytes]:
    """All values of all columns, a batch of a column at a time, kept apart."""
    with opener() as stream:
        try:
            for batch in _file(stream).iter_batches(_ROWS):
                for column in batch.columns:
                    for values, _ in _flat(column, None):
                        yield _joined(values)
        except pa.ArrowException as error:
            raise ValueError(f"not Parquet after all: {error}") from None


def without(
    source: Path, target: Path, traces: Traces, subjects: Set[bytes], *, of_hub: bool = False
) -> tuple[int, int]:
    """Write `source` to `target` without the rows in which there is a trace, or whose `subjects` name the
    person. Schema, metadata and compression stay; a file `of_hub` is written as the hub writes: its footer
    names the persons that are left. Returns (rows left out, rows)."""
    removed = total = 0
    keys = pa.array(sorted(subjects), pa.binary())
    with source.open("rb") as stream:
        file = _file(stream)
        with _writer(target, file, of_hub) as write:
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                doomed = _named(table, keys)
                doubted = _near(table, traces) - doomed
                for row, value in zip(
                    sorted(doubted),
                    table.take(pa.array(sorted(doubted), pa.int64())).to_pylist(),
                    strict=True,
                ):
                    if traces.in_record(value):
                        doomed.add(row)
                total += table.num_rows
                removed += len(doomed)
                if doomed:
                    stays = [row not in doomed for row in range(table.num_rows)]
                    table = table.filter(pa.array(stays, pa.bool_()))
                if table.num_rows:
                    write(table)
    return removed, total


@contextmanager
def _writer(target: Path, file: pq.ParquetFile, of_hub: bool) -> Iterator[Callable[..., None]]:
    """Writes a table as one row group."""
    if of_hub:
        with SegmentWriter(target, file.schema_arrow) as segment:
            yield lambda table: segment.write(single(table.replace_schema_metadata()))
        return
    codec = "none"
    if file.metadata.num_row_groups and file.metadata.num_columns:
        codec = file.metadata.row_group(0).column(0).compression
    with pq.ParquetWriter(target, file.schema_arrow, compression=codec) as writer:
        yield lambda table: writer.write_table(table, row_group_size=table.num_rows)


def names(path: Path, subjects: Set[bytes]) -> bool:
    """Whether the column `subjects` of any row holds one of the hashes."""
    keys = pa.array(sorted(subjects), pa.binary())
    with path.open("rb") as stream:
        try:
            file = _file(stream)
            if SUBJECTS not in file.schema_arrow.names:
                return False
            return any(
                _named(pa.Table.from_batches([batch]), keys)
                for batch in file.iter_batches(_ROWS, columns=[SUBJECTS])
            )
        except pa.ArrowException:
            return False


def _file(stream: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(stream)


def _named(table: pa.Table, keys: pa.Array) -> set[int]:
    if SUBJECTS not in table.column_names or not len(keys):
        return set()
    column = table.column(SUBJECTS).combine_chunks()
    if not pa.types.is_list(column.type):
        return set()
    rows = pc.list_parent_indices(column)
    values = pc.cast(pc.list_flatten(column), pa.binary())
    return set(pc.filter(rows, pc.is_in(values, keys)).to_pylist())


def _near(table: pa.Table, traces: Traces) -> set[int]:
    """Rows that are worth a look."""
    found: set[int] = set()
    for column in table.columns:
        for values, rows in _flat(column.combine_chunks(), np.arange(table.num_rows)):
            owners = np.asarray(rows)
            places = sorted(traces.places(_joined(values)))
            if places:
                lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
                ends = np.cumsum(lengths.astype(np.int64) + len(_APART))
                found.update(owners[np.searchsorted(ends, places, side="right")].tolist())
    return found


def _flat(array: pa.Array, rows: Rows) -> Iterator[tuple[pa.Array, Rows]]:
    """The texts, bytes and whole numbers (an id may be one) of a column as plain bytes, with the row of each."""
    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        for chunk in array.chunks:
            yield from _flat(chunk, rows)
    elif pa.types.is_dictionary(kind):
        yield from _flat(array.dictionary_decode(), rows)
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _flat(field, rows)
    elif pa.types.is_map(kind):
        for inner in (array.keys, array.items):
            yield from _flat(pa.ListArray.from_arrays(array.offsets, inner), rows)
    elif pa.types.is_nested(kind):
        parents = None if rows is None else rows[pc.list_parent_indices(array).to_numpy()]
        yield from _flat(pc.list_flatten(array), parents)
    elif len(array) and (pa.types.is_integer(kind) or _is_bytes(kind)):
        plain = pc.cast(array, pa.string()) if pa.types.is_integer(kind) else array
        yield pc.cast(plain, pa.large_binary()), rows


def _joined(values: pa.Array) -> bytes:
    """All of them in one piece, a sign that is in no text between."""
    whole = pa.LargeListArray.from_arrays(
        pa.array([0, len(values)], pa.int64()), pc.fill_null(values, b"")
    )
    joined: bytes = pc.binary_join(whole, pa.scalar(_APART, pa.large_binary()))[0].as_py()
    return joined


def _is_bytes(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    )  # fmt: skip
    return any(check(kind) for check in checks)
