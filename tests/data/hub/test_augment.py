"""`data.augment` and `data.index` through their steps, on a snapshot of real segments."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tenfold.data.augmentation import augment
from tenfold.data.index import index
from tenfold.data.refine import refine
from tenfold.data.retrieval.index import Index
from tenfold.errors import ConfigError, TenfoldError


@pytest.fixture
def made(batch_of, texts, snapshot_of):
    return snapshot_of([batch_of(texts(120, 400))], 10_000)


def table(snapshot):
    return pa.Table.from_batches(snapshot.batches(kept_only=False))


def test_every_record_and_its_children(made, run, ctx):
    operators = [
        {"text.slips": {"typos": 0.05, "copies": 2, "seed": 3}},
        {
            "text.templates": {
                "templates": ["{mood}: {text}"],
                "slots": {"mood": ["Gladly", "Sadly"]},
            }
        },
    ]
    grown = run(augment, made, operators=operators)
    rows, parents = table(grown).to_pylist(), table(made).to_pylist()
    by_id = {row["id"]: row for row in parents}
    children = [row for row in rows if row["id"] not in by_id]
    assert [row for row in rows if row["id"] in by_id] == parents
    assert len(children) == 3 * len(parents) == ctx.metrics["children"]
    for child in children:
        told = json.loads(child["meta"])["augmented"]
        parent = by_id[told["parent"]]
        assert child["source"] == parent["source"]
        if told["operator"] == "text.templates/1":
            assert child["text"] in {f"{mood}: {parent['text']}" for mood in ("Gladly", "Sadly")}
    assert grown.content["parents"] == [made.digest]
    again = run(augment, made, operators=operators)
    assert again.digest == grown.digest
    assert grown.content["recipe"]["steps"][-1]["name"] == "text.templates"


def test_operators_that_judge_are_refused(made, run):
    with pytest.raises(ConfigError, match="no children"):
        run(augment, made, operators=["repair"])
    with pytest.raises(ConfigError, match="columns"):
        run(augment, made, operators=["image.augment"])


def test_refining_refuses_an_operator_that_multiplies(made, run):
    with pytest.raises(TenfoldError):
        run(refine, made, operators=["text.slips"])


def test_a_snapshot_is_found_again(made, run):
    found = Index.open(run(index, made).folder())
    row = table(made).to_pylist()[17]
    hit = found.search(row["text"], 1)[0]
    assert (hit.id, hit.snapshot, hit.place) == (row["id"], made.digest, row["place"])
