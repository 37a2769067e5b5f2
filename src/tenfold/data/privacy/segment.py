"""Parquet for the eraser: what its columns hold as bytes, and the file again without a person's rows."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenfold.data.privacy.traces import Traces

if TYPE_CHECKING:
    from tenfold.data.privacy.search import Opener

_ROWS = 16_384
_APART = b"\0"
SUBJECTS = "subjects"


def column_pieces(opener: Opener) -> Iterator[bytes]:
    """All values of all columns, a batch of a column at a time, kept apart."""
    with opener() as stream:
        try:
            for batch in _file(stream).iter_batches(_ROWS):
                for column in batch.columns:
                    yield from _value_bytes(column)
        except pa.ArrowException as error:
            raise ValueError(f"not Parquet after all: {error}") from None


def without(source: Path, target: Path, traces: Traces, subjects: Set[bytes]) -> tuple[int, int]:
    """Write `source` to `target` without the rows in which there is a trace, or whose `subjects` name the
    person. Schema, metadata and compression stay. Returns (rows left out, rows)."""
    removed = total = 0
    keys = pa.array(sorted(subjects), pa.binary())
    with source.open("rb") as stream:
        file = _file(stream)
        codec = "none"
        if file.metadata.num_row_groups and file.metadata.num_columns:
            codec = file.metadata.row_group(0).column(0).compression
        with pq.ParquetWriter(target, file.schema_arrow, compression=codec) as writer:
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                doomed = _named(table, keys)
                if any(
                    traces.maybe(piece)
                    for column in table.columns
                    for chunk in column.chunks
                    for piece in _value_bytes(chunk)
                ):
                    for row, value in enumerate(table.to_pylist()):
                        if traces.in_record(value):
                            doomed.add(row)
                total += table.num_rows
                removed += len(doomed)
                if doomed:
                    stays = [row not in doomed for row in range(table.num_rows)]
                    table = table.filter(pa.array(stays, pa.bool_()))
                if table.num_rows:
                    writer.write_table(table, row_group_size=table.num_rows)
    return removed, total


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


def _value_bytes(array: pa.Array) -> Iterator[bytes]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield from _value_bytes(array.dictionary)
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _value_bytes(field)
    elif pa.types.is_map(kind):
        yield from _value_bytes(array.keys)
        yield from _value_bytes(array.items)
    elif pa.types.is_nested(kind):
        yield from _value_bytes(pc.list_flatten(array))
    elif len(array) and (pa.types.is_integer(kind) or _is_bytes(kind)):
        # an id may be a number
        values = pc.cast(
            pc.cast(array, pa.string()) if pa.types.is_integer(kind) else array, pa.large_binary()
        )
        whole = pa.LargeListArray.from_arrays(
            pa.array([0, len(values)], pa.int64()), pc.fill_null(values, b"")
        )
        yield pc.binary_join(whole, pa.scalar(_APART, pa.large_binary()))[0].as_py()


def _is_bytes(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    )  # fmt: skip
    return any(check(kind) for check in checks)
