from __future__ import annotations

import json
import random

import pytest

pytest.importorskip("numpy")

from tenfold.core.keys import canonical_json
from tenfold.data.collect import collect
from tenfold.data.curate import curate
from tenfold.errors import ConfigError, InputError


def sentence(seed: int, length: int = 40) -> str:
    chance = random.Random(seed)
    return " ".join(f"word{chance.randrange(3000)}" for _ in range(length)) + "."


def test_every_document_is_kept_or_has_a_cause(run, ctx, corpus_of):
    base = sentence(1)
    given = corpus_of(
        {
            "plain": sentence(2),
            "mail": sentence(3) + " Write to jane.doe@corp.org today.",
            "original": base + " With a longer end.",
            "near": base,
            "copy a": sentence(4).upper() + "\r\n",
            "copy b": sentence(4).upper(),
            "inside": sentence(5),
            "around": sentence(6) + "\n\n" + sentence(5) + "\n\n" + sentence(7),
            "short": "Too short.",
        }
    )
    made = run(curate, given)
    rows = [json.loads(line) for line in made.lines("removed.jsonl")]
    assert {(row["source"], row["cause"]) for row in rows} == {
        ("short", "too_short"),
        ("copy b", "duplicate"),
        ("inside", "contained"),
        ("near", "near_duplicate"),
    }
    kept = {document.source: document for document in made.documents()}
    assert len(kept) + len(rows) == given.count
    assert {row["id"] for row in rows}.isdisjoint(document.id for document in kept.values())
    assert kept["mail"].text.endswith("Write to [EMAIL] today.")
    assert ctx.metrics["redacted.email"] == 1
    assert ctx.metrics["removed"] == 4
    assert ctx.metrics["removed.duplicate"] == 1
    ids = {document.source: document.id for document in given.documents()}
    assert {row["kept"] for row in rows if "kept" in row} == {
        ids["copy a"], ids["around"], ids["original"]
    }  # fmt: skip


def test_personal_data_can_be_kept_and_rules_switched_off(run, corpus_of):
    given = corpus_of([sentence(1) + " a@corp.org", sentence(1) + " a@corp.org now", "x"])
    made = run(
        curate,
        given,
        pii="keep",
        near_threshold=0,
        contained_share=0,
        quality={"min_words": 0, "min_word_characters": 0},
    )
    assert [document.text for document in made.documents()] == [
        document.text for document in given.documents()
    ]


def test_the_documentation_of_python_comes_out_clean(run, ctx):
    """The demo's corpus: no mail address left, held-out text apart, the same bytes twice."""
    from tenfold.core import pii
    from tenfold.data.heldout import OVERLAP_WORDS

    raw = run(collect)
    made = run(curate, raw)
    assert any(pii.find(document.text, ["email"]) for document in raw.documents())
    texts = {"train": [], "heldout": []}
    for document in made.documents():
        assert pii.find(document.text) == []
        texts[document.split].append(document.text.lower().split())
    assert 0.02 < ctx.metrics["heldout.bytes"] / ctx.metrics["bytes"] < 0.09

    def sequences(words):
        return {
            tuple(words[at : at + OVERLAP_WORDS]) for at in range(len(words) - OVERLAP_WORDS + 1)
        }

    train = set().union(*map(sequences, texts["train"]))
    held = set().union(*map(sequences, texts["heldout"]))
    assert len(train & held) < 0.05 * len(held)
    assert run(curate, raw).digest == made.digest


def test_nothing_left_is_an_error_that_counts_causes(run, corpus_of):
    with pytest.raises(InputError, match=r"no document is left .*'too_short': 2"):
        run(curate, corpus_of(["a", "b"]))


def test_settings_are_checked_also_inside_quality():
    assert canonical_json(curate.configure({"quality": {"min_words": 3}}))
    with pytest.raises(ConfigError, match="heldout_share must be"):
        curate.configure({"heldout_share": 0.9})
    with pytest.raises(ConfigError, match="unknown setting 'min_wrds'"):
        curate.configure({"quality": {"min_wrds": 3}})
    with pytest.raises(ConfigError, match="min_words must be"):
        curate.configure({"quality": {"min_words": -1}})
