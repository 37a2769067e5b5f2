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

ROW = "row_number"
"""uint64: which row of its segment a scattered row is about."""
NODE = "node"
"""uint64: which record of the snapshot: `segment << 32 | row`. Only what gathers knows the segment's number,
so a scattered file stays good when segments come before it."""


def scatter(
    batches: Iterable[pa.RecordBatch], key: str, partitions: int, path: Path, schema: pa.Schema
) -> Segment:
    """Rows of `batches` by `mixed(key) % partitions`; `key` is a uint64 column, and there is one named ROW.

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


def gather(paths: Sequence[Path], partition: int) -> pa.Table:
    """The rows of one partition out of all scattered files, in the order of `paths`; NODE instead of ROW."""
    parts = []
    for number, path in enumerate(paths):
        with pq.ParquetFile(path, memory_map=True) as file:
            part = file.read_row_group(partition, use_threads=False)
        nodes = part[ROW].to_numpy() | np.uint64(number << 32)
        parts.append(part.drop_columns([ROW]).append_column(NODE, pa.array(nodes)))
    return pa.concat_tables(parts)


def of_segment(nodes: np.ndarray, number: int) -> slice:
    """Where the nodes of a segment stand among ascending `nodes`."""
    first, last = np.searchsorted(nodes, np.array([number, number + 1], np.uint64) << np.uint64(32))
    return slice(int(first), int(last))


def mixed(keys: np.ndarray) -> np.ndarray:
    """uint64 -> uint64: neighbouring keys far apart (the finaliser of SplitMix64, Steele et al. 2014)."""
    keys = keys.astype(np.uint64, copy=True)
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(0x94D049BB133111EB)
    return keys ^ keys >> np.uint64(31)
