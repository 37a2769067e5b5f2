"""A person leaves a whole line of snapshots: segments, ledgers of losses, quarantine, kept pieces, the index."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold import Factory
from tenfold.core.asset import Snapshot
from tenfold.data.hub.writer import described, subjects_of
from tenfold.data.privacy.forms import forms
from tenfold.errors import TenfoldError
from tenfold.factory import erasing

WHO = ["ada.lovelace@example.org", "Ada Lovelace"]
NEEDLES = [b"ada.lovelace", b"lovelace", b"ada lovelace"]
NOTES = [
    f"note number {n} about engines, looms and the weather of week {n % 52}" for n in range(400)
]
HERS = [
    "write to ada.lovelace@example.org about the difference engine and its many wheels",
    "write to ada.lovelace@example.org about the difference engine and its many wheels",
    "Lovelace, Ada: notes upon the memoir, with a table of numbers",
    "short ada.lovelace@example.org",
]


@pytest.fixture
def factory(tmp_path):
    lines = [json.dumps({"text": text}) for text in NOTES]
    for place, text in zip((3, 200, 250, 300), HERS, strict=True):
        lines[place] = json.dumps({"text": text})
    lines[100] = '{"text": "broken, by ada.lovelace@example.org'
    lines[150] = '{"text": "broken, by nobody'
    (tmp_path / "notes.jsonl").write_text("\n".join(lines) + "\n")
    with Factory("line", directory=tmp_path) as made:
        source = {"kind": "jsonl", "path": "notes.jsonl", "licence": "CC0-1.0"}
        # A name as a place: the ledger of losses speaks of her too.
        (tmp_path / "ada.lovelace@example.org.txt").write_text("tiny")
        letters = {"kind": "files", "path": "*.txt", "licence": "CC-BY-4.0"}
        made.add("data.ingest", name="records", config={"sources": [source, letters]})
        operators = [
            "subjects",
            {"rules": {"repetition": None, "quality": {"min_words": 4, "min_alpha_words": 0.5}}},
        ]
        made.add("data.refine", name="refined", needs=["records"], config={"operators": operators})
        made.add("data.dedup", name="marked", needs=["refined"])
        made.add("data.cut", name="curated", needs=["marked"])
        made.add("data.index", name="found", needs=["curated"])
        outcome = made.run()
        assert outcome.ok, [row.error for row in outcome.steps]
        made.promote("curated", "notes@main")
        yield made


def left(folder, also=()):
    """Needles in any byte of a folder, packed columns of Parquet included."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            pieces = [data]
            if data[:4] == b"PAR1":
                for column in pq.read_table(pa.BufferReader(data)).columns:
                    pieces.append(repr(column.to_pylist()).encode())
                    pieces += [v for v in column.to_pylist() if isinstance(v, bytes)]
                pieces.append(repr(pq.read_metadata(pa.BufferReader(data)).metadata).encode())
            for needle in (*NEEDLES, *also):
                found += [(path.name, needle) for piece in pieces if needle in piece.lower()]
    return found


def test_nothing_of_her_is_left_and_the_snapshots_are_whole(factory, tmp_path):
    key = erasing.subject_key(factory)
    hers = [key.subject(form) for form in forms("email", WHO[0])]
    assert left(tmp_path / ".tenfold", [hers[0].hex().encode()])
    before = {name: factory.asset(name) for name in ("records", "refined", "marked", "curated")}
    losses = before["curated"].content["lost"]

    done = erasing.erase(factory, erasing.read_person(WHO))
    assert done.left == 0
    assert left(tmp_path / ".tenfold" / "blobs", [hers[0].hex().encode()]) == []
    assert left(tmp_path / ".tenfold", []) == []

    for name, old in before.items():
        made = factory.asset(name)
        assert made.digest != old.digest
        assert isinstance(made, Snapshot)
        listed = {segment.file for segment in made.segments()}
        assert listed == {file for file in made.files if file.startswith("segments/")}
        for segment in made.segments():
            path = made.path(segment.file)
            assert described(path) == segment
            assert not any(subjects_of(path).may_hold(each) for each in hers)
        for file in made.files:
            if file.startswith(("lost/", "quarantine/")):
                assert file.endswith(f"/{made.files[file].sha256}.parquet")
        rows = sum(batch.num_rows for batch in made.batches(["id"], kept_only=False))
        assert rows == made.meta["records"] == made.content["metrics"]["records"]
        assert made.content["quarantine"] == {"json": 1}
        for parent in made.content["parents"]:
            assert parent in {factory.asset(each).digest for each in before}
    assert factory.asset("records").count == before["records"].count - len(HERS) - 1
    lost = factory.asset("curated").content["lost"]
    gone = sum(losses.values()) - sum(lost.values())
    assert (
        gone == 1
    )  # the one whose place has her name; other lines of losses hold an id, a place, a cause
    assert factory.ledger.alias("notes@main").digest == factory.asset("curated").digest
    # The index cannot be searched: it went, and is made again from what is left.
    with pytest.raises(TenfoldError):
        factory.asset("found")
    assert factory.run().ok
    assert left(tmp_path / ".tenfold") == []
    assert factory.asset("records").count == before["records"].count - len(HERS) - 1


def test_a_second_erasure_of_the_same_person_finds_nothing_to_do(factory):
    erasing.erase(factory, erasing.read_person(WHO))
    digests = {name: factory.asset(name).digest for name in ("records", "curated")}
    again = erasing.erase(factory, erasing.read_person(WHO))
    assert again.left == 0
    assert not again.certificate["rewritten"]
    assert digests == {name: factory.asset(name).digest for name in digests}
