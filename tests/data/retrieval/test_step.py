"""`data.index` over a corpus and over a snapshot of the hub, opened as a gateway would."""

from __future__ import annotations

import json

import pytest

from tenfold.core.asset import Corpus, Document, Draft
from tenfold.data.index import index
from tenfold.data.retrieval.index import Index
from tenfold.errors import InputError

NOTES = [
    {"text": "How wheels were tagged.", "meta": {"key": "old", "superseded_by": "new"}},
    {"text": "How wheels are tagged today.", "meta": {"key": "new", "title": "Tags"}},
    {"text": "Bread needs yeast.", "meta": {"authority": 0.4, "time_us": 1}},
]


def test_a_corpus(run, commit, ctx, tmp_path):
    documents = [
        Document(f"d{number}", note["text"], "notes", "CC0-1.0", meta=note["meta"])
        for number, note in enumerate(NOTES)
    ]
    corpus = commit(Corpus.write(Draft(Corpus.kind), documents))
    made = run(index, corpus)
    assert made.manifest.kind == "index"
    assert ctx.metrics["superseded"] == 1
    found = Index.open(made.folder()).search("how were wheels tagged")
    assert [hit.id for hit in found[:2]] == ["d1", "d0"]
    assert found[0].snapshot == corpus.digest == made.meta["snapshot"]
    assert Index.open(made.folder()).search("yeast", 1)[0].authority == pytest.approx(0.4)


def test_records_of_the_hub():
    import pyarrow as pa

    from tenfold.data import record
    from tenfold.data.retrieval.entries import of_records

    row = {
        "id": "r1", "source": "s", "place": "f:1", "modality": "text", "time": 5, "licence": "CC0-1.0",
        "authority": 0.5, "subjects": None, "meta": json.dumps({"title": "T", "supersedes": ["r0"]}),
        "drop": None, "text": "words",
    }  # fmt: skip
    rows = [row, {**row, "id": "r2", "drop": "rules.short"}, {**row, "id": "r3", "meta": None}]
    batch = pa.RecordBatch.from_pylist(rows, schema=record.schema("text"))
    first, second = of_records([batch])
    assert (first.id, first.title, first.supersedes, first.time_us) == ("r1", "T", ("r0",), 5)
    assert second.id == "r3"
    broken = pa.RecordBatch.from_pylist([{**row, "meta": "[]"}], schema=record.schema("text"))
    with pytest.raises(InputError, match="r1"):
        list(of_records([broken]))


def test_other_assets_are_refused(run, commit):
    with pytest.raises(InputError, match="snapshot or a corpus"):
        run(index, commit(Draft("report")))
