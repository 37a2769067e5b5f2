"""Which of several copies is kept: the one of most authority, then the freshest, the longest, the smallest id.

Never "first seen": that would depend on the order of files and workers. Knows columns of records.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import record


def ranks(records: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Each record's place in the order of precedence, int64 (num_records,): 0 is kept before all others.

    Reads `authority`, `time` (null: older than all), `text` (its length in bytes; where there is none, all are
    the same) and `id`. The same for the same records in any order."""
    length = (
        pc.fill_null(pc.binary_length(records[record.TEXT]), 0)
        if record.TEXT in records.schema.names
        else pa.array(np.zeros(len(records), np.int32))
    )
    keys = pa.table(
        [records[record.AUTHORITY], records[record.TIME], length, records[record.ID]],
        names=["authority", "time", "length", "id"],
    )
    order = pc.sort_indices(
        keys,
        sort_keys=[
            ("authority", "descending", "at_end"),
            ("time", "descending", "at_end"),
            ("length", "descending", "at_end"),
            ("id", "ascending", "at_end"),
        ],
    )
    place = np.empty(len(records), np.int64)
    place[order.to_numpy()] = np.arange(len(records))
    return place
