"""Stages, cuts and what they cost a second time: through the steps, on snapshots of real segments."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tenfold.data.cut import cut
from tenfold.data.hub import catalogue
from tenfold.data.refine import observe, refine
from tenfold.data.sources.connector import Quarantined
from tenfold.errors import ConfigError, InputError, UnknownName

LENGTH = "marking:Length"


@pytest.fixture
def made(batch_of, texts, snapshot_of, marking):
    """Some 15 segments of texts of 100 to 699 characters, and two lines that could not be read."""
    rows = [text[: 100 + n % 600] for n, text in enumerate(texts(1_500, 700))]
    bad = [Quarantined("f:1", "json", "not JSON", b"{"), Quarantined("f:2", "json", "not JSON")]
    return snapshot_of([batch_of(rows[:700]), *bad, batch_of(rows[700:])], 50_000)


def table(snapshot, **options):
    return pa.Table.from_batches(snapshot.batches(**options))


def test_a_snapshot_holds_every_record_once_in_order(made, batch_of, texts):
    rows = [text[: 100 + n % 600] for n, text in enumerate(texts(1_500, 700))]
    assert table(made)["text"].to_pylist() == rows
    assert (made.meta["records"], made.count, made.meta["licences"]) == (
        1500,
        1500,
        {"CC0-1.0": 1500},
    )
    assert len(made.segments()) > 10
    assert made.content["quarantine"] == {"json": 2}
    assert made.content["metrics"]["quarantined"] == 2


def test_refining_marks_and_cutting_takes_out_with_a_line_for_each(made, run, ctx):
    refined = run(refine, made, operators=[{LENGTH: {"least": 400}}])
    lengths = pc.utf8_length(table(made)["text"])
    short = pc.less(lengths, 400)
    whole = table(refined, kept_only=False)
    assert whole["length.characters"].combine_chunks().equals(lengths.combine_chunks())
    assert pc.is_valid(whole["drop"]).equals(short)
    num_short = pc.sum(short).as_py()
    assert refined.content["drops"] == {"length.short": num_short}
    assert ctx.metrics["dropped.length.short"] == num_short
    assert refined.count == table(refined).num_rows == 1500 - num_short
    assert refined.content["parents"] == [made.digest]
    assert refined.content["recipe"]["steps"][-1]["parameters"] == {"least": 400}

    final = run(cut, refined)
    assert table(final, kept_only=False).equals(whole.filter(pc.invert(short)))
    ledgers = [pq.read_table(final.path(f)) for f in final.files if f.startswith("lost/")]
    lost = pa.concat_tables(ledgers)
    assert sorted(lost["id"].to_pylist()) == sorted(whole.filter(short)["id"].to_pylist())
    assert set(lost["drop"].to_pylist()) == {"length.short"}
    assert final.content["lost"] == {"length.short": num_short}
    assert ctx.metrics["lost"] == num_short


def test_limits_are_tuned_again_without_the_operator(made, run, ctx):
    refined = run(refine, made, operators=[{LENGTH: {"least": 400}}])
    limits = {"length.characters": {"min": 300, "max": 500}}
    final = run(cut, refined, limits=limits, spare=["length.short"])
    kept = table(final)["length.characters"].to_pylist()
    every = table(refined, kept_only=False)["length.characters"].to_pylist()
    assert kept == [n for n in every if 300 <= n <= 500]
    assert final.content["lost"] == {"cut.length.characters": len(every) - len(kept)}
    with pytest.raises(InputError, match="no record is left"):
        run(cut, refined, limits={"length.characters": {"max": 1}})
    with pytest.raises(InputError, match=r"length\.chars") as caught:
        run(cut, refined, limits={"length.chars": {"max": 1}})
    assert "length.characters" in caught.value.hint


def test_only_new_segments_and_changed_operators_are_done(
    made, batch_of, texts, snapshot_of, run, tmp_path, monkeypatch
):
    log = tmp_path / "said"
    monkeypatch.setenv("SAID", str(log))
    operators = ["marking:Says", LENGTH]
    before = run(refine, made, operators=operators)
    num = len(made.segments())
    assert len(log.read_text().split()) == num
    assert run(refine, made, operators=operators).digest == before.digest
    assert len(log.read_text().split()) == num
    grown = snapshot_of([batch_of(texts(100, seed="more")), *made.batches()], 50_000)
    new = {s.sha256 for s in grown.segments()} - {s.sha256 for s in made.segments()}
    assert 0 < len(new) < num / 2
    after = run(refine, grown, operators=operators)
    assert len(log.read_text().split()) == num + len(new)
    assert table(after).num_rows == 1600
    run(refine, made, operators=[operators[0], {LENGTH: {"least": 1}}])
    assert len(log.read_text().split()) == 2 * num + len(new)


@pytest.mark.parametrize("workers", [2, 8])
def test_any_number_of_workers_makes_the_same_bytes(made, run, ctx, workers):
    alone = run(refine, made, operators=[{LENGTH: {"least": 300}}])
    ctx.pieces.clear()
    ctx.cpu = workers
    assert run(refine, made, operators=[{LENGTH: {"least": 300}}]).digest == alone.digest


@pytest.mark.parametrize(
    ("how", "said"), [("breaks", "refuses failed: ValueError: never"), ("loses", "keep every row")]
)
def test_an_operator_that_breaks_is_named_with_the_segment(made, run, how, said):
    with pytest.raises(InputError, match=said) as caught:
        run(refine, made, operators=[{"marking:Refuses": {"how": how}}])
    assert made.segments()[0].sha256[:12] in caught.value.where


def test_faults_of_a_recipe_are_told_before_a_record_is_read(made, run, marking, monkeypatch):
    monkeypatch.setitem(catalogue.OPERATORS, "length", LENGTH)
    assert refine.configure({"operators": ["length"]})
    with pytest.raises(UnknownName, match="lenght"):
        refine.configure({"operators": ["lenght"]})
    with pytest.raises(ConfigError, match="at least one"):
        refine.configure({"operators": []})
    with pytest.raises(ConfigError, match="dash of its own"):
        refine.configure({"operators": [{"length": {}, "marking:Length": {}}]})
    with pytest.raises(ConfigError, match="unknown setting 'most'"):
        refine.configure({"operators": [{"length": {"most": 3}}]})
    with pytest.raises(ConfigError, match="is not there"):
        observe({"operators": ["nowhere:Length"]}, ".")


def test_a_raised_version_is_seen_without_an_import(marking):
    assert observe({"operators": [LENGTH]}, ".") == {LENGTH: marking.Length.version}


def test_every_operator_says_in_its_source_what_it_is():
    for name in catalogue.OPERATORS:
        [made] = [catalogue._target(name)]
        module, _, kind = made.partition(":")
        cls = getattr(catalogue._module(module, name), kind)
        assert cls.name == name
        assert catalogue.observe([name], ".") == {name: cls.version}
        assert dataclasses.is_dataclass(cls)
