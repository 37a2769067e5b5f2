"""Operators in a factory file: what is wrong with them is told by a plan, with its line, before any is imported."""

from __future__ import annotations

import stat
import sys

import pytest

from tenfold import Factory
from tenfold.core.config import REQUIRED, settings_of_dataclass
from tenfold.data.hub import catalogue
from tenfold.data.hub.signature import signature
from tenfold.data.privacy.subject_key import open_key
from tenfold.errors import ConfigError, SpecError
from tenfold.factory.subject_key import subject_key_file

FILE = """\
factory: people
assets:
  records:
    step: data.ingest
    config:
      sources:
        - {kind: jsonl, path: people.jsonl, licence: CC0-1.0}
  refined:
    step: data.refine
    needs: [records]
    config:
      operators:
        - repair
        - OPERATOR
"""
PEOPLE = (
    '{"text": "Write to ada@example.org about the engine."}\n{"text": "Nobody is named here."}\n'
)


@pytest.mark.parametrize("name", catalogue.OPERATORS)
def test_what_is_read_off_the_source_is_what_the_class_has(name):
    said = signature(catalogue._target(name))
    module, _, kind = catalogue._target(name).partition(":")
    cls = getattr(catalogue._module(module, name), kind)
    known = settings_of_dataclass(cls)
    assert said is not None
    assert list(said.settings) == list(known)
    for setting in known.values():
        assert (said.settings[setting.name].default is REQUIRED) == (setting.default is REQUIRED)


@pytest.mark.parametrize(
    ("operator", "fault"),
    [
        ("langauge", "unknown operator 'langauge', did you mean \"language\"?"),
        ("language: {keeps: [en]}", "unknown setting 'keeps', did you mean \"keep\"?"),
        ("language: {keep: en}", "must be a list (seen: 'en')"),
        ("rules: {counting: papers}", "must be one of 'compat', 'paper'"),
        ("rules: {quality: {min_words: few}}", "must be a whole number (seen: 'few')"),
        ("text.templates: {copies: 2}", "the setting 'templates' is required"),
        ("subjects: {key: [a]}", "must be the path of a key file"),
    ],
)
def test_a_plan_names_the_line_of_a_wrong_operator(tmp_path, operator, fault):
    (tmp_path / "factory.yaml").write_text(FILE.replace("OPERATOR", operator))
    heavy = "tenfold.data.text.predict"
    there = heavy in sys.modules
    with pytest.raises(SpecError) as caught:
        Factory.load(tmp_path / "factory.yaml")
    assert "factory.yaml:14:" in str(caught.value)
    assert fault in str(caught.value)
    assert (heavy in sys.modules) == there


def test_persons_are_named_by_the_key_of_the_store_or_by_one_of_yours(tmp_path):
    (tmp_path / "people.jsonl").write_text(PEOPLE)
    found = {}
    open_key(tmp_path / "own.key")
    for operator in ("subjects", "subjects: {key: own.key}"):
        (tmp_path / "factory.yaml").write_text(FILE.replace("OPERATOR", operator))
        with Factory.load(tmp_path / "factory.yaml") as factory:
            assert factory.run().ok
            [batch] = factory.asset("refined").batches(["subjects"])
            found[operator] = batch.column(0).to_pylist()
            key = subject_key_file(factory)
        assert [len(each) for each in found[operator]] == [1, 0]
    assert found["subjects"] != found["subjects: {key: own.key}"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert found["subjects"][0] == [open_key(key).subject("email:ada@example.org")]
    # Another key is another snapshot.
    (tmp_path / "own.key").unlink()
    with (
        Factory.load(tmp_path / "factory.yaml") as factory,
        pytest.raises(ConfigError, match="no such key file"),
    ):
        factory.plan()
    open_key(tmp_path / "own.key")
    with Factory.load(tmp_path / "factory.yaml") as factory:
        assert [step.action for step in factory.plan().steps] == ["skip", "run"]
