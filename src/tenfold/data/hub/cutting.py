"""Where one segment ends and the next begins: decided by the records, not by counting from the start.

Counting would shift every boundary behind one new record, and with the boundaries all digests. Here a record
ends a segment when its id says so (content-defined chunking: Muthitacharoen, Chen & Mazieres 2001, LBFS), so a
new, changed or missing record changes the segment it is in and at most the next ones until the cuts meet again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tenfold.data import record
from tenfold.data.hub.sizes import row_bytes


def segments(
    batches: Iterable[pa.RecordBatch], target_bytes: int
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The same rows, segment by segment; each must be read to its end before the next is asked for.

    Segments hold half to twice `target_bytes` of records in memory, `target_bytes` on average; a record
    larger than that has a segment of its own. The last one may be smaller.
    """
    marked = _marked(batches, target_bytes)

    def one(batch: pa.RecordBatch, ends: bool) -> Iterator[pa.RecordBatch]:
        yield batch
        while not ends:
            following = next(marked, None)
            if following is None:
                return
            batch, ends = following
            yield batch

    for first, ends in marked:
        yield one(first, ends)


def _marked(
    batches: Iterable[pa.RecordBatch], target_bytes: int
) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """True with the slice that ends a segment; a slice may be empty."""
    least, most = target_bytes // 2, 2 * target_bytes
    window = target_bytes - least
    held = 0
    for batch in batches:
        ids = batch.column(record.ID).to_pylist()
        start = 0
        for row, (size, name) in enumerate(zip(row_bytes(batch).tolist(), ids, strict=True)):
            if held and held + size > most:
                yield batch.slice(start, row - start), True
                start, held = row, 0
            held += size
            # The larger a record, the likelier it ends a segment: on average one in each `window`.
            if held >= least and int(name[:8], 16) / 2**32 < size / window:
                yield batch.slice(start, row + 1 - start), True
                start, held = row + 1, 0
        if start < batch.num_rows:
            yield batch.slice(start), False
