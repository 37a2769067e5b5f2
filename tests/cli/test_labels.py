"""`tenfold labels`: the log of a queue as lines, as JSON, and the list of queues."""

from __future__ import annotations

import json

import pytest

from tenfold import Factory
from tenfold.cli.main import main
from tenfold.data.label.log import from_lines


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """A factory file in the working folder, its queue made, two records labelled."""
    rows = [
        json.dumps({"text": f"{word} is a word of its own"}) for word in ("one", "two", "three")
    ]
    (tmp_path / "given.jsonl").write_text("\n".join(rows) + "\n")
    source = {"kind": "jsonl", "path": "given.jsonl", "licence": "CC0-1.0"}
    assets = {
        "records": {"step": "data.ingest", "config": {"sources": [source]}},
        "review": {
            "step": "data.review",
            "needs": ["records"],
            "config": {"choices": ["yes", "no"]},
        },
    }
    (tmp_path / "factory.yaml").write_text(json.dumps({"factory": "words", "assets": assets}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_STORE", str(tmp_path / "store"))
    with Factory.load("factory.yaml") as factory:
        assert factory.run().ok
        for label in ("yes", "no"):
            record = factory.labelling.next("review", "Zo\u00eb").record
            factory.labelling.decide("review", record, "Zo\u00eb", label, 1.5)


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["labels", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_lines_json_and_list(labelled, capsys):
    events = from_lines(told(capsys, "review").splitlines(), "stdout")
    assert [(e.label, e.annotator, e.seconds) for e in events] == [
        ("yes", "Zo\u00eb", 1.5), ("no", "Zo\u00eb", 1.5)
    ]  # fmt: skip
    assert [row["record"] for row in json.loads(told(capsys, "review", "--json"))] == [
        event.record for event in events
    ]
    [queue] = json.loads(told(capsys, "--json"))
    assert (queue["name"], queue["done"], queue["wanted"]) == ("review", 2, 3)
    assert "2 of 3 labels" in told(capsys)


def test_an_unknown_queue_is_named(labelled, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["labels", "revue"])
    assert ended.value.code == 2
    assert "review" in capsys.readouterr().err
