from __future__ import annotations

import gzip
import json

import pytest

from tenfold.data.collect import collect, observe
from tenfold.errors import ConfigError, InputError


def paths(*patterns, **more):
    return {"source": "paths", "paths": list(patterns), "licence": "CC0-1.0", **more}


def test_files_become_documents_with_source_and_licence(run, ctx, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.md").write_text("# Grüße\n", encoding="utf-8")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfwith a mark")
    (tmp_path / "c.jsonl").write_text(
        '{"text": "one"}\n\n{"text": "two", "source": "web", "licence": "MIT"}\n'
    )
    corpus = run(collect, **paths("**/*.md", "*.txt", "*.jsonl", "a.txt"))
    rows = [(d.text, d.source, d.licence, d.split) for d in corpus.documents()]
    assert rows == [
        ("with a mark", "a.txt", "CC0-1.0", "train"),
        ("one", "c.jsonl:1", "CC0-1.0", "train"),
        ("two", "web", "MIT", "train"),
        ("# Grüße\n", "deep/b.md", "CC0-1.0", "train"),
    ]
    assert ctx.metrics["documents"] == 4
    assert ctx.metrics["bytes"] == sum(len(row[0].encode()) for row in rows)
    assert ctx.metrics["source.jsonl"] == 1


BAD = {
    "latin1.txt": ("line one\ncaf\xe9\n".encode("latin-1"), "encoding", "latin1.txt:2"),
    "utf16.txt": ("hello".encode("utf-16"), "encoding", "utf16.txt:1"),
    "packed.txt": (gzip.compress(b"hello"), "encoding", "packed.txt:1"),
    "cut.jsonl": (b'{"text": "ok"}\n{"text": "cu', "json", "cut.jsonl:2"),
    "field.jsonl": (b'{"body": "x"}\n', "field", "field.jsonl:1"),
    "list.jsonl": (b"[1, 2]\n", "field", "list.jsonl:1"),
    "half.jsonl": (b'{"text": "\\ud800"}\n', "encoding", "half.jsonl:1"),
    "deep.jsonl": (b"[" * 100_000 + b"\n", "json", "deep.jsonl:1"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unreadable_document_stops_or_is_counted(name, run, ctx, tmp_path):
    data, cause, where = BAD[name]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "good.txt").write_text("readable")
    with pytest.raises(InputError) as caught:
        run(collect, **paths("*.*"))
    assert caught.value.where == where
    assert "on_error: skip" in caught.value.hint
    corpus = run(collect, **paths("*.*", on_error="skip"))
    assert "readable" in [d.text for d in corpus.documents()]
    assert ctx.metrics["unreadable"] == ctx.metrics[f"unreadable.{cause}"] == 1
    assert ctx.logs[0][1]["where"] == where


def test_the_offset_and_the_bytes_are_shown(run, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\xff\xfe")
    with pytest.raises(InputError, match=r"not UTF-8 at byte 3 \(seen: b'\\xff\\xfe'\)"):
        run(collect, **paths("a.txt"))


def test_observe_sees_contents_not_times(tmp_path):
    config = collect.configure(paths("*.txt"))
    (tmp_path / "a.txt").write_text("one")
    before = observe(config, tmp_path)
    (tmp_path / "a.txt").write_text("one")
    assert observe(config, tmp_path) == before
    (tmp_path / "a.txt").write_text("two")
    assert observe(config, tmp_path) != before
    (tmp_path / "b.txt").write_text("new")
    assert set(observe(config, tmp_path)) == {"a.txt", "b.txt"}


def test_nothing_there_is_said_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="no file matches 'missing"):
        observe(collect.configure(paths("missing/*.txt")), tmp_path)
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(ConfigError, match="not a kind of text file"):
        observe(collect.configure(paths("*")), tmp_path)


def test_a_source_without_one_readable_document_is_an_error(run, tmp_path):
    (tmp_path / "a.jsonl").write_text("\n\n")
    with pytest.raises(InputError, match="no readable document"):
        run(collect, **paths("a.jsonl"))


@pytest.mark.parametrize(
    ("config", "fact"),
    [
        ({"source": "paths"}, "at least one pattern"),
        ({"source": "paths", "paths": ["*.txt"]}, "needs a licence"),
        ({"licence": "MIT"}, "belong to source 'paths'"),
        ({"source": "pathz"}, "must be one of"),
        ({"limit": -1}, "0 or more"),
    ],
)
def test_settings_that_make_no_sense(config, fact):
    with pytest.raises(ConfigError, match=fact):
        collect.configure(config)


def test_a_corpus_of_ours_can_be_collected_again(run, tmp_path):
    """documents.jsonl is a .jsonl like any other: source and licence survive the round trip."""
    first = run(collect, limit=20)
    (tmp_path / "again.jsonl").write_bytes(first.read_bytes("documents.jsonl"))
    again = run(collect, **paths("again.jsonl"))
    keep = [(d.id, d.text, d.source, d.licence) for d in first.documents()]
    assert [(d.id, d.text, d.source, d.licence) for d in again.documents()] == keep
    assert json.loads(next(again.lines("documents.jsonl")))["licence"] == "PSF-2.0"
