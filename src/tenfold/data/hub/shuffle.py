"""A file shuffle: rows that belong together come together, whatever segment they were in.

Scatter: one job reads one segment and writes one file with a row group for each partition (not a file for
each, which would be segments x partitions of them). Gather: one job reads its row group out of every file.
Rows of a partition come in the order of segments and, within one, of rows: the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.core.segment import Segment
from tenfold.data.hub.writer import SegmentWriter
from tenfold.errors import ConfigError

NODE = "node"
"""uint64: which record a row is about, `segment << 32 | row` over the segments of a snapshot."""


def node_ids(segment: int, first_row: int, num_rows: int) -> np.ndarray:
    """uint64 (num_rows,): the names of `num_rows` records of a segment from `first_row` on."""
    start = np.uint64(segment << 32 | first_row)
    return start + np.arange(num_rows, dtype=np.uint64)


def scatter(
    batches: Iterable[pa.RecordBatch], key: str, partitions: int, path: Path, schema: pa.Schema
) -> Segment:
    """Rows of `batches` by `mixed(key) % partitions`; `key` is a uint64 column.

    Holds all rows of one segment in memory: give it the columns that are needed, not all.
    """
    if partitions < 1:
        raise ConfigError("partitions must be 1 or more", seen=partitions)
    table = pa.Table.from_batches(batches, schema=schema)
    home = (mixed(table[key].to_numpy()) % np.uint64(partitions)).astype(np.int64)
    order = np.argsort(home, kind="stable")
    edges = np.searchsorted(home[order], np.arange(partitions + 1))
    sorted_rows = table.take(pa.array(order)).combine_chunks()
    with SegmentWriter(path, schema) as writer:
        for partition in range(partitions):
            part = sorted_rows.slice(edges[partition], edges[partition + 1] - edges[partition])
            batch = part.to_batches()
            writer.write(batch[0] if batch else pa.RecordBatch.from_pylist([], schema=schema))
        return writer.close()


def gather(paths: Sequence[Path], partition: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one partition out of all scattered files, in the order of `paths`."""
    parts = []
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            parts.append(file.read_row_group(partition, columns=columns, use_threads=False))
    return pa.concat_tables(parts)


def mixed(keys: np.ndarray) -> np.ndarray:
    """uint64 -> uint64: neighbouring keys far apart (the finaliser of SplitMix64, Steele et al. 2014)."""
    keys = keys.astype(np.uint64, copy=True)
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(0x94D049BB133111EB)
    return keys ^ keys >> np.uint64(31)
