"""Which image records go because another one shows the same: near-duplicates as a table.

Reads what `facts.ImageFacts` wrote. Knows tables, not files.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import record
from tenfold.data.images.facts import HEIGHT, SIGNATURE, WIDTH
from tenfold.data.images.neardup import NearDuplicates, clusters, compared, keepers
from tenfold.data.images.signature import unpack

CAUSE = "image.copy"
"""What the rows that go are to be dropped for."""


def copies(records: pa.Table, config: NearDuplicates) -> pa.Table:
    """One row for each record that goes: `id`, its `row`, and `kept`, the id of the one that stays in its place.

    Sorted by `id` and `row`. Rows that were dropped before, or have no signature, take no part.
    """
    here = pc.and_(pc.is_null(records[record.DROP]), pc.is_valid(records[SIGNATURE]))
    part = records.filter(here).select(
        [record.ID, record.AUTHORITY, record.TIME, SIGNATURE, WIDTH, HEIGHT]
    )
    ids = part[record.ID].to_pylist()
    found = compared(unpack(part[SIGNATURE].to_pylist()), config).copies(config)
    kept = keepers(
        clusters(len(ids), found.rows),
        authority=part[record.AUTHORITY].to_numpy(),
        time_us=part[record.TIME].cast(pa.timestamp("us")).to_numpy(),
        num_pixels=part[WIDTH].to_numpy().astype(np.int64) * part[HEIGHT].to_numpy(),
        ids=ids,
    )
    place = np.flatnonzero(here.to_numpy(zero_copy_only=False))
    gone = sorted(
        (ids[row], int(place[row]), ids[kept[row]]) for row in range(len(ids)) if kept[row] != row
    )
    return pa.table(
        {
            "id": pa.array([one for one, _, _ in gone], pa.string()),
            "row": pa.array([row for _, row, _ in gone], pa.int64()),
            "kept": pa.array([other for _, _, other in gone], pa.string()),
        }
    )
