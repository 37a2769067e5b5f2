"""Segments: deterministic bytes, boundaries that follow the records, subjects, whole or not there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.segment import read_batches
from tenfold.data.hub.cutting import segments
from tenfold.data.hub.subjects import EXACT_KEYS, SubjectFilter
from tenfold.data.hub.writer import regrouped, subjects_of, write_segment
from tenfold.errors import InputError, StoreFull

TARGET = 20_000


def test_a_segment_is_named_by_its_bytes_and_knows_its_records(batch_of, tmp_path):
    moments = [datetime(2020, 5, day, tzinfo=UTC) for day in (3, 1, 2)]
    batch = batch_of(
        ["a", "b", "c"], time=moments, drop=[None, "length.short", None],
        licence=["MIT", "MIT", "CC0-1.0"], subjects=[[b"x" * 16], None, [b"y" * 16, b"x" * 16]],
    )  # fmt: skip
    path = tmp_path / "s.parquet"
    segment = write_segment(path, [batch, batch], batch.schema)
    assert segment.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert segment.num_bytes == path.stat().st_size
    assert (segment.rows, segment.kept, segment.drops) == (6, 4, {"length.short": 2})
    assert segment.licences == {"MIT": 2, "CC0-1.0": 2}
    assert segment.first_us == moments[1].timestamp() * 1e6
    assert segment.last_us == moments[0].timestamp() * 1e6
    assert subjects_of(path).may_hold(b"x" * 16)
    assert not subjects_of(path).may_hold(b"z" * 16)
    assert pa.Table.from_batches(read_batches(path)).equals(pa.Table.from_batches([batch, batch]))
    assert next(read_batches(path)).schema.equals(batch.schema)
    assert [b.column(0).to_pylist() for b in read_batches(path, ["text"], kept_only=True)] == [
        ["a", "c"], ["a", "c"],
    ]  # fmt: skip
    with pytest.raises(InputError, match="lacks columns"):
        next(read_batches(path, ["txt"]))


def test_no_statistic_repeats_a_text(batch_of, tmp_path):
    batch = batch_of(["Erika Mustermann"])
    write_segment(tmp_path / "s.parquet", [batch], batch.schema)
    group = pq.read_metadata(tmp_path / "s.parquet").row_group(0)
    shown = {group.column(i).path_in_schema: group.column(i).statistics for i in range(11)}
    assert {name for name, found in shown.items() if found is not None} == {"time", "authority"}


@settings(max_examples=15)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 9))
def test_bytes_and_boundaries_do_not_depend_on_how_rows_were_batched(
    batch_of, texts, tmp_path_factory, lengths, seed
):
    whole = batch_of(texts(sum(lengths), seed=str(seed)))
    parts, at = [], 0
    for length in lengths:
        parts.append(whole.slice(at, length))
        at += length

    def written(batches):
        path = tmp_path_factory.mktemp("s") / "s.parquet"
        return [
            write_segment(path, regrouped(part, 5_000), whole.schema)
            for part in segments(batches, TARGET)
        ]

    assert written(parts) == written([whole])


def test_a_new_record_leaves_the_segments_of_others_alone(batch_of, texts):
    known = texts(2_000)

    def ids(rows):
        return [
            tuple(value for batch in part for value in batch.column("id").to_pylist())
            for part in segments([batch_of(rows)], TARGET)
        ]

    before, after = ids(known), ids(["a new one", *known[:900], *known[901:]])
    assert [i for part in before for i in part] == batch_of(known).column("id").to_pylist()
    assert len(before) > 20
    assert len(set(before) - set(after)) <= 4
    sizes = [len(part) * 400 for part in before[:-1]]
    assert min(sizes) > TARGET / 4
    assert max(sizes) <= 2 * TARGET


@given(st.sets(st.binary(min_size=8, max_size=20), max_size=30))
def test_few_subjects_are_known_exactly(keys):
    stored = SubjectFilter.from_bytes(SubjectFilter.of(keys).to_bytes())
    assert stored.keys == keys


def test_many_subjects_are_never_missed_and_seldom_invented():
    keys = [hashlib.sha256(str(n).encode()).digest()[:16] for n in range(3 * EXACT_KEYS)]
    known, strangers = keys[: EXACT_KEYS + 1], keys[EXACT_KEYS + 1 :]
    stored = SubjectFilter.from_bytes(SubjectFilter.of(known).to_bytes())
    assert stored.keys is None
    assert all(map(stored.may_hold, known))
    # One in a thousand by Bloom's formula: more than three in a thousand of 8,191 has odds of 1e-7.
    assert sum(map(stored.may_hold, strangers)) < 0.003 * len(strangers)
    assert SubjectFilter.of(reversed(known)).to_bytes() == SubjectFilter.of(known).to_bytes()


def test_what_fails_leaves_no_file(batch_of, tmp_path):
    batch = batch_of(["a"])

    def breaks():
        yield batch
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_segment(tmp_path / "s", breaks(), batch.schema)
    with pytest.raises(InputError, match="other columns"):
        write_segment(tmp_path / "s", [batch, batch.select(["id"])], batch.schema)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_no_half(batch_of, texts, small_disk):
    batch = batch_of(texts(2_000, 8_000))
    with pytest.raises(StoreFull, match="no room to write a segment"):
        write_segment(small_disk / "s.parquet", regrouped([batch], 500_000), batch.schema)
    assert list(small_disk.iterdir()) == []
    small = batch.slice(0, 10)
    assert write_segment(small_disk / "s.parquet", [small], batch.schema).rows == 10
