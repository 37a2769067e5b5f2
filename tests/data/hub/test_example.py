"""examples/03-data as a new user runs it, and ingesting as a step: what was read, what was not, what changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tenfold.data.ingest import ingest, observe
from tenfold.errors import ConfigError, InputError, UnknownName

ROOT = Path(__file__).parents[3]


@pytest.mark.slow  # the first run on a machine compiles kernels
def test_the_example_runs_and_names_the_cause_of_every_loss(tmp_path):
    shutil.copytree(ROOT / "examples" / "03-data", tmp_path / "examples" / "03-data")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("img"))

    def tenfold(*words):
        done = subprocess.run(
            [sys.executable, "-m", "tenfold", *words, "-f", str(tmp_path / "examples" / "03-data")],
            capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "notes@main" in tenfold("run")
    assert "unchanged" in tenfold("run")
    documents = len(list((ROOT / "docs").glob("*.md")))
    shown = json.loads(tenfold("data", "show", "notes@main", "--json"))
    losses = {(loss["fate"], loss["cause"]): loss["records"] for loss in shown["losses"]}
    lost = {cause: count for (fate, cause), count in losses.items() if fate == "lost"}
    kept = shown["dataset"]["records"]
    assert {key: count for key, count in losses.items() if key[0] == "unread"} == {
        ("unread", "json"): 1
    }
    assert kept + sum(lost.values()) == documents + 5
    assert lost["language.other"] >= 1
    assert lost["rules.min_words"] == 1
    records = {one["name"]: one["records"] for one in json.loads(tenfold("data", "--json"))}
    assert records["text"] == records["tokens"] == kept


def test_sources_become_one_snapshot_and_only_changed_ones_are_read_again(run, ctx, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"\n')
    (tmp_path / "b.txt").write_text("three")
    sources = [
        {"kind": "jsonl", "path": "a.jsonl", "licence": "MIT", "name": "a"},
        {"kind": "files", "path": "b.txt", "licence": "CC0-1.0", "name": "b"},
    ]
    made = run(ingest, sources=sources)
    rows = [
        row for batch in made.batches(["source", "text", "licence"]) for row in batch.to_pylist()
    ]
    assert [tuple(row.values()) for row in rows] == [("a", "one", "MIT"), ("b", "three", "CC0-1.0")]
    assert ctx.metrics["quarantined.json"] == ctx.metrics["a.quarantined.json"] == 1
    assert ctx.metrics["a.readable_share"] == 0.5
    said = made.content["sources"]
    assert said["a"] == {
        "records": 1, "quarantined": 1, "readable_share": 0.5, "authority": 0.5, "half_life_days": None,
    }  # fmt: skip
    assert list(said) == ["a", "b"]
    [aside] = [name for name in made.files if name.startswith("quarantine/")]
    assert pq.read_table(made.path(aside))["place"].to_pylist() == ["a.jsonl:2"]
    with pytest.raises(InputError, match="source a could not be read"):
        run(ingest, sources=sources, min_readable_share=0.9)

    before = observe({"sources": sources}, tmp_path)
    (tmp_path / "b.txt").write_text("four")
    assert observe({"sources": sources}, tmp_path) != before
    ctx.logs.clear()
    assert run(ingest, sources=sources).digest != made.digest
    assert [fields for event, fields in ctx.logs if event == "jobs"] == [
        {"note": "ingest", "reused": 1, "to_make": 1}
    ]


def test_faults_of_sources(run, tmp_path):
    with pytest.raises(ConfigError, match="at least one source"):
        ingest.configure({"sources": []})
    with pytest.raises(UnknownName, match="jsonll") as caught:
        run(ingest, sources=[{"kind": "jsonll", "path": "x", "licence": "MIT"}])
    assert caught.value.where == "data.ingest.sources[0].kind"
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(InputError, match="no source holds a readable record") as nothing:
        run(ingest, sources=[{"kind": "jsonl", "path": "bad.jsonl", "licence": "MIT"}])
    assert nothing.value.seen == {"json": 1}
