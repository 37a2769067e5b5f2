"""Duplicates by shuffles are those that the ladder finds with all records at hand, for any segments and workers."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tenfold.data.dedup.ladder import Ladder, duplicates
from tenfold.data.dedup.similarity import Similar
from tenfold.data.deduplicate import dedup
from tenfold.errors import ConfigError, InputError


@pytest.fixture
def rows(batch_of):
    """900 texts: a third of them their own, a third edited copies of those, some equal, some dropped before."""
    draw = random.Random(3)
    words = [f"word{n}" for n in range(3_000)]
    texts = []
    for number in range(900):
        if number < 300:
            text = draw.choices(words, k=draw.randrange(30, 200))
        else:
            text = texts[draw.randrange(len(texts) // 2)].split()
            for _ in range(draw.choice([0, 0, 1, 3, 12])):
                text[draw.randrange(len(text))] = draw.choice(words)
        texts.append(" ".join(text))
    return batch_of(
        texts,
        id=[f"{draw.getrandbits(64):016x}" for _ in texts],
        authority=[draw.choice([0.2, 0.8]) for _ in texts],
        drop=[draw.choice([None] * 9 + ["rules.min_words"]) for _ in texts],
    )


@pytest.mark.parametrize(
    ("workers", "config", "ladder"),
    [
        (1, {}, Ladder()),
        (2, {}, Ladder()),
        (
            1,
            {"similar_threshold": 0.6, "keep": ["shortest", "authority"]},
            Ladder(similar=Similar(threshold=0.6), keep=("shortest", "authority")),
        ),
    ],
)
def test_shuffled_findings_are_those_of_all_records_at_once(
    rows, snapshot_of, run, ctx, workers, config, ladder, monkeypatch
):
    monkeypatch.setattr("tenfold.data.deduplicate._PARTITION_BYTES", 60_000)  # several partitions
    ctx.cpu = workers
    made = snapshot_of([rows], 100_000)
    assert len(made.segments()) > 4
    found = pa.Table.from_batches(run(dedup, made, **config).batches(kept_only=False))

    table = pa.Table.from_batches([rows])
    judged = table.filter(table["drop"].is_null())
    truth = duplicates(judged, ladder)
    expected = dict(zip(judged["id"].to_pylist(), truth.cause.to_pylist(), strict=True))
    twins = judged["id"].take(pa.array(truth.twin)).to_pylist()
    twin_of = dict(zip(judged["id"].to_pylist(), twins, strict=True))
    assert {"dedup.exact", "dedup.near", None} <= set(expected.values())
    assert ("dedup.similar" in expected.values()) == ("similar_threshold" in config)
    alike = dict(zip(judged["id"].to_pylist(), truth.similarity.tolist(), strict=True))
    for row in found.select(["id", "drop", "dedup.twin", "dedup.similarity"]).to_pylist():
        similarity = row.pop("dedup.similarity")
        if row["id"] in expected:
            assert row["drop"] == expected[row["id"]]
            assert row["dedup.twin"] == (twin_of[row["id"]] if row["drop"] else None)
            assert similarity is None or abs(similarity - alike[row["id"]]) < 1e-5
        else:
            assert row == {"id": row["id"], "drop": "rules.min_words", "dedup.twin": None}


def test_only_new_segments_are_hashed(rows, batch_of, texts, snapshot_of, run, ctx):
    made = snapshot_of([rows], 100_000)
    run(dedup, made)
    grown = snapshot_of([batch_of(texts(50)), rows], 100_000)
    new = {each.sha256 for each in grown.segments()} - {each.sha256 for each in made.segments()}
    ctx.logs.clear()
    run(dedup, grown)
    keys = next(fields for event, fields in ctx.logs if fields.get("note") == "keys")
    assert 0 < keys["to_make"] == len(new) < len(grown.segments())


def test_other_rules_of_who_stays_hash_no_text_again(rows, snapshot_of, run, ctx):
    made = snapshot_of([rows], 100_000)
    run(dedup, made)
    ctx.logs.clear()
    run(dedup, made, keep=["oldest"])
    made_anew = {fields["note"]: fields["to_make"] for event, fields in ctx.logs if event == "jobs"}
    assert (
        made_anew["keys"] == made_anew["groups"] == made_anew["members"] == 0 < made_anew["judged"]
    )


def test_more_similar_text_than_fits_is_refused_before_it_is_read(
    rows, snapshot_of, run, monkeypatch
):
    monkeypatch.setattr("tenfold.data.hub.duplicates.SIMILAR_BYTES", 50_000)
    with pytest.raises(InputError, match="too much text"):
        run(dedup, snapshot_of([rows], 100_000), similar_threshold=0.9)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="both orders"):
        dedup.configure({"keep": ["oldest", "newest"]})


def test_what_is_neither_text_nor_image_is_refused(rows, snapshot_of, run):
    made = snapshot_of([rows], 100_000)
    made.manifest.meta["modality"] = "row"
    with pytest.raises(InputError, match="among texts, or among images"):
        run(dedup, made)
