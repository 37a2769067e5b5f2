"""The gate as a step: evaluation sets from assets and from files, all of them or none."""

from __future__ import annotations

import json

import pytest

from tenfold import Factory
from tenfold.core.asset import Draft, Table
from tenfold.core.step import Context, step

QUESTION = (
    "a train leaves the old station at nine in the morning and travels sixty miles an hour until it "
    "reaches the sea"
)
OTHER = "how many of the seven bridges of the town can be crossed exactly once in a single walk"
CLEAN = "nothing of this has ever been asked in an examination by anybody at all, as far as one can tell"


@step(version="1", produces=Table)
def quiz(ctx: Context) -> Draft:
    return Table.write([{"question": OTHER, "answer": "none"}], draft=ctx.draft(Table.kind))


@pytest.fixture
def factory(tmp_path):
    lines = [CLEAN, f"Homework. {QUESTION}. Thank you.", f"{OTHER}?"]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in lines))
    (tmp_path / "eval.csv").write_text(f"question,answer\n{QUESTION},sixty\nshort,one\n")
    with Factory("gate", directory=tmp_path) as made:
        notes = {"kind": "jsonl", "path": "notes.jsonl", "licence": "CC0-1.0"}
        made.add("data.ingest", name="records", config={"sources": [notes]})
        made.add(quiz, name="bridges")
        source = {"kind": "csv", "path": "eval.csv", "licence": "CC0-1.0", "name": "trains"}
        made.add(
            "data.decontaminate",
            name="gated",
            needs=["records", "bridges"],
            config={"sources": [source]},
        )
        yield made


def test_what_assets_and_files_hold_is_marked_under_their_names(factory, tmp_path):
    outcome = factory.run()
    assert outcome.ok, outcome.steps
    gated = factory.asset("gated")
    assert gated.content["drops"] == {"decontaminate.bridges": 1, "decontaminate.trains": 1}
    [kept] = [b.column(0).to_pylist() for b in gated.batches(["text"])]
    assert kept == [CLEAN]
    # No place of this machine is in the recipe, and another set is another snapshot.
    assert str(tmp_path) not in json.dumps(gated.content)
    assert [each.action for each in factory.plan().steps].count("run") == 0
    (tmp_path / "eval.csv").write_text("question,answer\n" + CLEAN.replace(",", "") + ",x\n")
    assert factory.run().ok
    assert factory.asset("gated").content["drops"] == {
        "decontaminate.bridges": 1,
        "decontaminate.trains": 1,
    }
    [kept] = [b.column(0).to_pylist() for b in factory.asset("gated").batches(["text"])]
    assert [text[:8] for text in kept] == ["Homework"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,answer\n", "is empty"),
        ("question,answer\nshort,one\n", "no item of the evaluation set has 8 words"),
        ('question,answer\n"' + QUESTION + ",sixty\n", "cannot be read whole"),
    ],
)
def test_a_set_that_would_let_all_pass_stops_the_step(factory, tmp_path, text, said):
    (tmp_path / "eval.csv").write_text(text)
    outcome = factory.run()
    [failed] = [row for row in outcome.steps if row.status == "failed"]
    assert failed.asset == "gated"
    assert said in failed.error
