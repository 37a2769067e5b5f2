"""Which of several copies is kept: by rule the one of most authority, then the newest, the longest.

Never "first seen": that would depend on the order of files and workers; where a rule leaves two equal, the
smallest id stays. Knows columns of records.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import record

KEEP = ("authority", "newest", "longest")
"""The rule where nothing else is said."""
ORDERS = {
    "authority": ("authority", "descending"),
    "newest": ("time", "descending"),
    "oldest": ("time", "ascending"),
    "longest": ("length", "descending"),
    "shortest": ("length", "ascending"),
}
"""What a rule may name -> (what is compared, in which order). Without a time a record comes last."""


def ranks(records: pa.Table | pa.RecordBatch, keep: Sequence[str] = KEEP) -> np.ndarray:
    """Each record's place in the order of precedence, int64 (num_records,): 0 is kept before all others.

    Reads `authority`, `time`, `text` (its length in bytes; where there is none, all are the same) and `id`.
    `keep`: names of ORDERS, what counts most first. The same for the same records in any order."""
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
            *((*ORDERS[each], "at_end") for each in keep),
            ("id", "ascending", "at_end"),
        ],
    )
    place = np.empty(len(records), np.int64)
    place[order.to_numpy()] = np.arange(len(records))
    return place
