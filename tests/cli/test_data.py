"""`tenfold data`: what it says of a real factory's datasets, and what it writes for others."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("tokenizers")

FACTORY = """\
factory: lamps
assets:
  records:
    step: data.ingest
    config: {sources: [{kind: jsonl, path: lamps.jsonl, name: lamps, licence: CC0-1.0}]}
  refined: {step: data.refine, needs: [records], config: {operators: [{split: {heldout_share: 0.3}}]}}
  curated: {step: data.cut, needs: [refined]}
  text: {step: data.corpus, needs: [curated]}
  words: {step: data.tokenizer, needs: [text], config: {vocabulary: 300}}
  tokens: {step: data.shards, needs: [curated, words]}
release:
  - {alias: lamps@main, asset: curated}
"""


def line(number: int) -> str:
    return json.dumps({"text": f"Lamp number {number} [is] lit, and so is lamp {number + 1}."})


@pytest.fixture
def lamps(tmp_path, monkeypatch, tenfold):
    (tmp_path / "factory.yaml").write_text(FACTORY)
    (tmp_path / "lamps.jsonl").write_text("\n".join([*map(line, range(40)), "{"]) + "\n")
    monkeypatch.chdir(tmp_path)
    for variable in ("TENFOLD_STORE", "TENFOLD_LEDGER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    assert tenfold("run --json").code == 0
    return tmp_path


def test_what_there_is_and_how_one_came_about(lamps, tenfold):
    listed = tenfold("data --json").json
    assert listed == tenfold("data list --json").json
    by_name = {one["name"]: one for one in listed}
    assert {name: one["records"] for name, one in by_name.items()} == dict.fromkeys(
        ("curated", "records", "refined", "text", "tokens"), 40
    )
    assert by_name["curated"]["aliases"] == ["lamps@main"]
    shown = tenfold("data show lamps@main --json").json
    assert shown["losses"] == [{"fate": "unread", "cause": "json", "records": 1}]
    assert [step["asset"] for step in shown["steps"]] == ["records", "refined", "curated"]
    counted = tenfold("show tokens --json").json["lineage"]["data"]
    assert {
        "asset": "tokens", "what": "licence", "name": "CC0-1.0", "documents": 40,
    } in counted  # fmt: skip
    text = tenfold("data show curated").out
    assert "licence CC0-1.0  40" in text
    assert re.search(r"unread +json +1", text)
    assert "lamps@main" in tenfold("data list").out


def test_the_first_records_of_every_kind(lamps, tenfold):
    rows = tenfold("data head lamps@main -n 3 --json").json
    assert [json.loads(line(n))["text"] for n in range(3)] == [row["text"] for row in rows]
    assert "subjects" not in rows[0]
    assert tenfold("data head text -n 2 --json").json[1]["text"] == rows[1]["text"]
    assert "text: Lamp number 0 [is] lit" in tenfold("data head curated").out
    refused = tenfold("data head tokens --json")
    assert refused.code == 2
    assert refused.json["fact"] == "tokens: there are no records to show in shards"


def test_a_difference_names_records_settings_and_what_is_shared(lamps, tenfold):
    before = tenfold("data show curated --json").json["dataset"]["digest"]
    (lamps / "lamps.jsonl").write_text("\n".join([*map(line, range(45)), "{", "["]) + "\n")
    text = FACTORY.replace(
        "needs: [refined]}", "needs: [refined], config: {limits: {authority: {max: 0.9}}}}"
    )
    (lamps / "factory.yaml").write_text(text)
    assert tenfold("run --json").code == 0
    found = tenfold(f"data diff {before[:12]} lamps@main --json").json
    changes = {(c["what"], c["name"]): (c["before"], c["after"]) for c in found["changes"]}
    assert changes["records", ""] == (40, 45)
    assert changes["unread", "json"] == (1, 2)
    assert changes["licence", "CC0-1.0"] == (40, 45)
    [[asset, was, now]] = found["steps"]
    assert asset == "curated"
    assert (was["limits"], now["limits"]) == ({}, {"authority": {"max": 0.9, "min": None}})
    assert re.search(r"unread +json +1 +2 +\+1", tenfold(f"data diff {before[:12]} curated").out)
    same = tenfold("data diff curated lamps@main --json").json
    assert same["changes"] == []
    assert same["shared_bytes"] == same["after"]["num_bytes"]


def test_an_export_with_its_cards_tells_the_lineage(lamps, tenfold):
    made = tenfold("data export lamps@main hf out/lamps --creator us --json").json
    assert sum(made["splits"].values()) == 40
    assert {path.name for path in (lamps / "out" / "lamps").iterdir()} == {
        "README.md", "croissant.json", "data",
    }  # fmt: skip
    plain = json.loads((lamps / "out" / "lamps" / "croissant.json").read_text())
    digests = [each["prov:generated"]["@id"] for each in plain["prov:wasGeneratedBy"]]
    steps = tenfold("data show lamps@main --json").json["steps"]
    assert digests == [f"urn:sha256:{step['digest']}" for step in steps]
    [source] = [e for e in plain["prov:wasDerivedFrom"] if e["prov:label"] == "lamps"]
    assert source["prov:atLocation"] == "lamps.jsonl"
    again = tenfold("data export lamps@main hf out/lamps --json")
    assert again.code == 2
    assert again.json["fact"] == "there is something already"
    cards = tenfold("data card curated --json").json
    assert cards["lacks"] == []
    assert cards["croissant"]["creator"]["name"] == "lamps"
    assert "lamps (lamps.jsonl)" in tenfold("data card curated").out
    lines = tenfold("data export curated jsonl out/lines")
    assert lines.code == 0
    assert "records: train" in lines.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("data export curated hff out", 'did you mean "hf"'),
        ("data export text hf out", "made of snapshots, not of corpus"),
        ("data show curatde", 'did you mean "curated"'),
    ],
)
def test_faults(lamps, tenfold, words, said):
    done = tenfold(words)
    assert done.code == 2
    assert said in done.err
