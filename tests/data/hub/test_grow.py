"""A source that grows is read on from its cursor: what is there already is neither read nor written again."""

from __future__ import annotations

import sqlite3

import pytest

from tenfold.data.ingest import ingest


@pytest.fixture
def table(tmp_path):
    connection = sqlite3.connect(tmp_path / "notes.db")
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")

    def add(first, last):
        rows = [(n, f"note number {n} " * 300) for n in range(first, last)]
        connection.executemany("INSERT INTO notes VALUES (?, ?)", rows)
        connection.commit()

    add(0, 900)
    yield add, connection
    connection.close()


def texts(made):
    return [text[:20] for b in made.batches(["text"]) for text in b.column(0).to_pylist()]


def sources(tmp_path, **more):
    url = f"sqlite:///{tmp_path / 'notes.db'}"
    sql = {"kind": "sql", "url": url, "table": "notes", "key": "id", "text_field": "text"}
    return [{**sql, "modality": "text", "licence": "CC0-1.0", "name": "db", **more}]


def test_only_what_is_new_is_read(run, ctx, tmp_path, table):
    add, connection = table
    settings = {"sources": sources(tmp_path, since="id"), "segment_megabytes": 1, "grow": True}
    first = run(ingest, **settings)
    assert ctx.metrics["db.records"] == 900
    assert len(first.segments()) > 2
    add(900, 950)
    connection.execute("DELETE FROM notes WHERE id = 3")
    connection.commit()
    second = run(ingest, **settings)
    assert ctx.metrics["db.records"] == 50
    old = first.segments()
    assert second.segments()[: len(old)] == old
    assert texts(second) == texts(first) + [
        f"note number {n} note number"[:20] for n in range(900, 950)
    ]
    # Without news nothing is read, and the snapshot is the same.
    assert run(ingest, **settings).digest == second.digest
    # What is read anew has what is there now.
    assert len(texts(run(ingest, **{**settings, "grow": False}))) == 949


def test_a_table_without_a_column_to_go_by_is_read_whole(run, ctx, tmp_path, table):
    add, _ = table
    settings = {"sources": sources(tmp_path), "segment_megabytes": 1, "grow": True}
    run(ingest, **settings)
    add(900, 950)
    assert len(texts(run(ingest, **settings))) == 950
    assert ctx.metrics["db.records"] == 950


def test_new_files_join_the_old_ones_and_what_could_not_be_read_is_kept(run, ctx, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": \n')
    source = {"kind": "jsonl", "path": "*.jsonl", "licence": "MIT", "name": "files"}
    run(ingest, sources=[source], grow=True)
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": "\n')
    made = run(ingest, sources=[source], grow=True)
    assert texts(made) == ["one", "two"]
    assert ctx.metrics["files.records"] == 1
    assert made.content["quarantine"] == {"json": 2}
    assert len([name for name in made.files if name.startswith("quarantine/")]) == 2
