"""Factory files' mappings become connectors, or errors that say what to change."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from tenfold.data.sources.kinds import KINDS, connector
from tenfold.errors import ConfigError, InputError, UnknownName

WHERE = {"sql": {"url": "sqlite:///a.db", "table": "t"}, "http": {"url": "http://localhost/"}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_what_it_is_told_and_travels(kind):
    given = {
        "kind": kind, "licence": "CC-BY-4.0", "authority": 0.8, "half_life_days": 365, "name": "notes",
        "limits": {"record_bytes": 1000}, **WHERE.get(kind, {"path": "data"}),
    }  # fmt: skip
    made = connector(given, where="sources[0]", directory="/somewhere")
    assert (made.name, made.licence, made.authority, made.half_life_days) == (
        "notes", "CC-BY-4.0", 0.8, 365,
    )  # fmt: skip
    assert made.limits.record_bytes == 1000
    assert pickle.loads(pickle.dumps(made)) == made
    # Where the factory file lies is no part of what a source is.
    assert made == connector(given, directory="/elsewhere")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.licence = "other"


GOOD = {"kind": "jsonl", "path": "a.jsonl", "licence": "CC0-1.0"}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"kind": "jsonlines"}, UnknownName, "jsonl"),
        ({"kind": None}, ConfigError, "needs a kind"),
        ({"licence": ""}, ConfigError, "licence"),
        ({"authority": 1.5}, ConfigError, "0 to 1"),
        ({"authority": "high"}, ConfigError, "authority"),
        ({"half_life_days": 0}, ConfigError, "above 0"),
        ({"text_feild": "x"}, ConfigError, "text_field"),
        ({"directory": "/"}, ConfigError, "unknown setting"),
        ({"modality": "rows"}, ConfigError, "'row'"),
        ({"limits": {"rows": 0}}, ConfigError, "1 or more"),
        ({"columns": {"a": "number"}, "modality": "row"}, ConfigError, "int, float"),
    ],
)
def test_faults_name_the_place_and_the_remedy(change, error, said):
    with pytest.raises(error) as raised:
        connector({**GOOD, **change}, where="sources[3]")
    assert "sources[3]" in str(raised.value)
    assert said in str(raised.value)


def test_a_path_that_is_not_there(tmp_path):
    source = connector({**GOOD, "path": "nowhere/*.jsonl"}, directory=str(tmp_path))
    with pytest.raises(InputError, match="nothing is there"):
        next(source.read(None))


def test_paths_start_at_the_factory_file(put, read, tmp_path):
    put("in/a.jsonl", b'{"text": "a"}\n')
    put("in/b/c.jsonl", b'{"text": "c"}\n')
    for path, places in {
        "in": ["a.jsonl:1", "b/c.jsonl:1"],
        "in/**/c.jsonl": ["b/c.jsonl:1"],
    }.items():
        source = connector({**GOOD, "path": path}, directory=str(tmp_path))
        found = [place for batch in source.read(None) for place in batch["place"].to_pylist()]
        assert found == places
