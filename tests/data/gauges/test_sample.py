"""The sample: bounded whatever the snapshot's size, fair, the same every time, shared by neighbours."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenfold.data.gauges import difference
from tenfold.data.gauges.sample import GROUPS, draw, hashes


class Counted:
    """Row groups and rows that pyarrow was asked for."""

    def __init__(self, monkeypatch) -> None:
        self.groups = self.rows = self.footers = 0
        read, footer = pq.ParquetFile.read_row_group, pq.read_metadata

        def counting(file, group, *args, **kwargs):
            self.groups += 1
            self.rows += file.metadata.row_group(group).num_rows
            return read(file, group, *args, **kwargs)

        def counting_footer(*args, **kwargs):
            self.footers += 1
            return footer(*args, **kwargs)

        monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
        monkeypatch.setattr(pq, "read_metadata", counting_footer)


@pytest.mark.parametrize(("rows", "groups"), [(10, 1), (10, 100), (10, 4)])
def test_ten_times_the_records_cost_about_as_much(snapshot, monkeypatch, rows, groups):
    """Segments of one row group, one segment of many, and between: what is read stays the same."""
    found = []
    for size in (1000, 10_000):
        made = snapshot(text=[f"text {n}" for n in range(size)], rows=rows, groups=groups)
        with monkeypatch.context() as patch:
            counted = Counted(patch)
            sample = draw(made, 300)
        found.append((counted.groups, counted.rows, counted.footers))
        assert sample.groups_read <= GROUPS
        assert len(sample) <= 300
        assert not sample.whole
    (groups_1, rows_1, footers_1), (groups_10, rows_10, footers_10) = found
    assert groups_10 <= groups_1 * 1.05
    assert rows_10 <= rows_1 * 1.05
    assert footers_10 <= max(footers_1, GROUPS)


def test_every_kept_record_is_as_likely_whatever_its_group(snapshot):
    """Neighbours alike, row groups dropped in part: the mean of what is drawn is that of what is there."""
    chance = np.random.default_rng(3)
    found, truth = [], []
    for trial in range(14):
        values = np.sort(chance.normal(size=2000))  # neighbours are alike: the hardest case
        drop = [("x.y" if chance.random() < 0.5 and v > 0 else None) for v in values]
        made = snapshot(
            text=[f"{trial} {n}" for n in range(2000)],
            rows=14 + trial,
            drop=drop,
            value=values.tolist(),
        )
        sample = draw(made, 400, columns=["value"])
        found.append(np.mean(sample.column("value")))
        truth.append(values[[d is None for d in drop]].mean())
    errors = np.array(found) - np.array(truth)
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
    assert errors.std() < 0.15, "else this shows nothing"


def test_what_is_drawn_depends_on_the_records_alone(snapshot):
    texts = [f"text {n}" for n in range(500)]
    one, other = snapshot(text=texts), snapshot(text=texts, rows=100, groups=2)
    first, second = draw(one, 50), draw(other, 50)
    assert first.columns["id"] == second.columns["id"]
    assert (first.keys == np.sort(first.keys)).all()
    assert sum(first.column("text").count(t) for t in texts) == 50


def test_two_snapshots_that_share_records_share_the_drawn_ones(snapshot):
    texts = [f"text {n}" for n in range(2000)]
    whole, half = snapshot(text=texts), snapshot(text=texts[:1000])
    before, after = draw(half, 200), draw(whole, 200)
    assert len(set(before.keys.tolist()) & set(after.keys.tolist())) > 60, "chance alone: 20"
    assert difference.shared_share(before, after) == pytest.approx(0.5, abs=0.12)
    assert difference.shared_share(draw(half, 5000), draw(whole, 5000)) == 0.5
    assert difference.shared_share(before, draw(snapshot(text=["another"]), 200)) < 0.01


def test_sources_may_be_what_is_drawn(snapshot):
    made = snapshot(text=["a", "b", "c", "d"], source=["x", "y", "x", "y"])
    sample = draw(made, 10, by="source")
    assert len(set(sample.cluster.tolist())) == 2
    assert sample.whole


def test_ids_of_any_shape_spread_evenly():
    import pyarrow as pa

    for ids in ([f"{n:016x}" for n in range(4000)], [f"record {n}" for n in range(4000)]):
        spread = np.histogram(hashes(pa.array(ids)) / 2**64, bins=16, range=(0, 1))[0]
        assert abs(spread - 250).max() < 5 * np.sqrt(250)
