"""Who is held out: about as many as asked for, for ever, and never one half of a pair."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data import record
from tenfold.data.deduplicate import dedup
from tenfold.data.ingest import ingest
from tenfold.data.out.split import Split, sides_of
from tenfold.data.refine import refine
from tenfold.errors import ConfigError

SCHEMA = record.schema("text")


def batch_of(count, seed="", **columns):
    ids = [record.record_id(f"test{seed}", str(n).encode()) for n in range(count)]
    rows = {
        name: [None] * count if SCHEMA.field(name).nullable else [""] * count
        for name in SCHEMA.names
    }
    rows |= {"id": ids, "authority": [0.5] * count, **columns}
    return pa.RecordBatch.from_pydict(rows, SCHEMA)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_the_share_is_kept(share):
    """Within five standard deviations of a binomial."""
    sides = Split(heldout_share=share).sides(batch_of(20_000)).to_pylist()
    spread = (share * (1 - share) * 20_000) ** 0.5
    assert abs(sides.count("heldout") - share * 20_000) <= 5 * spread
    assert set(sides) <= {"train", "heldout"}


@given(data=st.data())
def test_a_record_keeps_its_side_whoever_stands_beside_it(data):
    batch = batch_of(200)
    rule = Split(heldout_share=0.3)
    whole = rule.sides(batch).to_pylist()
    rows = data.draw(st.lists(st.integers(0, 199), max_size=50))
    assert rule.sides(batch.take(pa.array(rows, pa.int64()))).to_pylist() == [
        whole[r] for r in rows
    ]


def test_a_larger_share_only_adds():
    batch = batch_of(2_000)
    sides = [Split(heldout_share=share).sides(batch).to_pylist() for share in (0.1, 0.3)]
    assert {n for n, s in enumerate(sides[0]) if s == "heldout"} <= {
        n for n, s in enumerate(sides[1]) if s == "heldout"
    }


def test_the_source_goes_first_and_children_go_with_their_parents():
    parent = batch_of(500)
    ids = parent.column("id").to_pylist()
    rule = Split(heldout_share=0.5)
    meta = [json.dumps({"augmented": {"parent": one, "operator": "x/1", "seed": 1}}) for one in ids]
    assert rule.sides(batch_of(500, "child", meta=meta)) == rule.sides(parent)
    said = [json.dumps({"split": word}) for word in ("test", "Validation", "train", "heldout")]
    sides = Split(heldout_share=0).sides(batch_of(4, meta=said)).to_pylist()
    assert sides == ["heldout", "heldout", "train", "heldout"]
    odd = ['{"split": 3}', 'no json, though it says "split"', '["split"]', '{"split": "third"}']
    assert set(Split(heldout_share=0).sides(batch_of(4, meta=odd)).to_pylist()) == {"train"}


def test_what_an_operator_wrote_holds():
    batch = batch_of(3).append_column("split", pa.array(["heldout", None, "train"]))
    assert sides_of(batch, Split(heldout_share=0)).to_pylist() == ["heldout", "train", "train"]


def test_a_share_that_cannot_be():
    with pytest.raises(ConfigError, match="heldout_share"):
        Split(heldout_share=0.6)


@pytest.mark.slow  # the first run on a machine compiles kernels
def test_duplicates_that_stay_are_never_split(run, tmp_path):
    """Through the steps: every text is there twice, under two sources, and nothing is cut."""
    texts = [" ".join(f"word{n}x{m}" for m in range(30)) for n in range(200)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    sources = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text(lines)
        sources.append({"kind": "jsonl", "path": f"{name}.jsonl", "licence": "MIT", "name": name})
    marked = run(dedup, run(ingest, sources=sources))
    split = run(refine, marked, operators=[{"split": {"heldout_share": 0.5}}])
    sides: dict[str, set[str]] = {}
    for batch in split.batches(["text", "split"], kept_only=False):
        for row in batch.to_pylist():
            sides.setdefault(row["text"], set()).add(row["split"])
    assert len(sides) == 200
    assert all(len(found) == 1 for found in sides.values())
    assert {"train", "heldout"} == set.union(*sides.values())
    assert split.content["drops"]["dedup.exact"] == 200


def test_the_held_out_have_no_children(run, ingested):
    """What `data.augment` reads is what this operator writes."""
    from tenfold.data.augment.offspring import parents

    split = run(refine, ingested, operators=[{"split": {"heldout_share": 0.4}}])
    for batch in split.batches():
        sides = batch.column("split").to_pylist()
        assert parents(batch) == [n for n, side in enumerate(sides) if side == "train"]
