"""A reading: only what is new, the same bytes each time, and what it measured."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tenfold.data import record
from tenfold.data.sources.connector import Reading
from tenfold.data.sources.integration import Integration
from tenfold.data.sources.kinds import connector


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def test_only_new_and_changed_files_are_read_again(put, read, tmp_path):
    put("in/a.jsonl", line("a"))
    put("in/b.jsonl", line("b") + b"broken\n")
    settings = {"kind": "jsonl", "path": str(tmp_path / "in")}
    first = read(**settings)
    assert (first.texts, first.causes) == (["a", "b"], ["json"])
    idle = read(first.cursor, **settings)
    assert (idle.records, idle.quarantined, idle.cursor) == ([], [], first.cursor)
    assert idle.integration.readable_share == 1
    put("in/a.jsonl", line("A"))  # as long as before
    put("in/c.jsonl", line("c"))
    assert read(first.cursor, **settings).texts == ["A", "c"]


def test_what_is_observed_changes_with_the_content_only(put, tmp_path):
    path = put("in/a.txt", b"one")
    source = connector({"kind": "files", "path": str(tmp_path / "in"), "licence": "x"})
    before = source.observe()
    assert json.loads(json.dumps(before)) == before
    put("in/a.txt", b"one")
    assert source.observe() == before
    put("in/a.txt", b"two")
    assert source.observe() != before
    assert path


def test_two_readings_give_the_same_bytes(shared):
    source = connector(
        {
            "kind": "csv",
            "path": str(shared / "tabular/febrl_dataset3.csv.gz"),
            "licence": "BSD-3-Clause",
        }
    )

    def bytes_of() -> bytes:
        sink = pa.BufferOutputStream()
        batches = list(source.read(None))
        with pa.ipc.new_stream(sink, batches[0].schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        return sink.getvalue().to_pybytes()

    assert bytes_of() == bytes_of()


def test_batches_are_bounded_and_named_after_their_content(put):
    path = put(
        "a.jsonl", b"".join(line(str(n) + "x" * 1000) for n in range(100)) + line("0" + "x" * 1000)
    )
    source = connector(
        {"kind": "jsonl", "path": path, "licence": "x", "limits": {"rows": 30, "row_bytes": 20_000}}
    )
    batches = list(source.read(None))
    assert [batch.num_rows for batch in batches] == [20] * 5 + [1]
    assert all(batch.schema == record.schema("text") for batch in batches)
    ids = [name for batch in batches for name in batch["id"].to_pylist()]
    assert ids[0] == ids[-1] == record.record_id(source.name, b"0" + b"x" * 1000)
    assert len(set(ids)) == 100


def test_a_reading_measures_its_integration(put):
    path = put("a.jsonl", line("a") * 3 + b"broken\n" + b'{"text": "\\ud800b"}\n')
    reading = Reading(connector({"kind": "jsonl", "path": path, "licence": "x", "name": "s"}))
    assert reading.cursor is None
    list(reading)
    found = reading.integration
    assert reading.cursor is not None
    assert (found.records, found.causes, found.repaired) == (4, {"json": 1}, {"surrogate": 1})
    assert found.readable_share == pytest.approx(0.8)
    assert 0 < found.first_record_s <= found.elapsed_s
    metrics = found.metrics()
    assert metrics["quarantined.json"] == metrics["repaired.surrogate"] == 1
    assert metrics["records_per_s"] == pytest.approx(4 / found.elapsed_s)


def test_nothing_read_is_nothing_lost():
    nothing = Integration(
        source="s", records=0, bytes=0, causes={}, repaired={}, first_record_s=None, elapsed_s=0.0
    )
    assert nothing.readable_share == 1
    assert "first_record_s" not in nothing.metrics()
