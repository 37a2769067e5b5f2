"""The file shuffle: every row once, equal keys together, the same order for any grouping of the work."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.hub.shuffle import gather, mixed, of_segment, scatter

SCHEMA = pa.schema([("key", pa.uint64()), ("row_number", pa.uint64())])


@settings(max_examples=20)
@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=30), max_size=5),
    st.integers(1, 7),
)
def test_equal_keys_meet_in_one_partition_in_the_order_of_segments(
    tmp_path_factory, segments, partitions
):
    folder, paths = tmp_path_factory.mktemp("s"), []
    for number, keys in enumerate(segments):
        columns = [pa.array(keys, pa.uint64()), pa.array(range(len(keys)), pa.uint64())]
        paths.append(folder / f"{number}")
        batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
        assert scatter([batch], "key", partitions, paths[-1], SCHEMA).rows == len(keys)
    if not paths:
        return
    found = [gather(paths, partition) for partition in range(partitions)]
    homes: dict[int, set[int]] = {}
    for number, part in enumerate(found):
        assert part["node"].to_pylist() == sorted(part["node"].to_pylist())
        for key in part["key"].to_pylist():
            homes.setdefault(key, set()).add(number)
    assert all(len(home) == 1 for home in homes.values())
    pairs = {(n << 32 | r, key) for n, keys in enumerate(segments) for r, key in enumerate(keys)}
    together = pa.concat_tables(found)
    assert set(zip(together["node"].to_pylist(), together["key"].to_pylist(), strict=True)) == pairs
    assert together.num_rows == len(pairs)
    nodes = np.sort(together["node"].to_numpy())
    for number, keys in enumerate(segments):
        assert [n >> 32 for n in nodes[of_segment(nodes, number)].tolist()] == [number] * len(keys)


def test_neighbouring_keys_spread_evenly():
    counts = np.bincount((mixed(np.arange(64_000)) % np.uint64(64)).astype(int))
    # A thousand each; the standard deviation of a fair draw is 31.
    assert counts.min() > 850
    assert counts.max() < 1150
