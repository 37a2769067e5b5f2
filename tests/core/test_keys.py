"""Canonical JSON and step keys: equal values have equal bytes, different computations different keys."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import canonical_json, step_key
from tenfold.errors import ConfigError

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: object) -> object:
    """Equal, but with every mapping built the other way round and lists as tuples."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return tuple(shuffled(item) for item in value)
    return value


@given(values)
def test_equal_values_have_equal_bytes_whatever_their_order(value: object) -> None:
    assert canonical_json(value) == canonical_json(shuffled(value))


@given(values)
def test_it_is_json_and_says_the_same(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


@given(values, values)
def test_different_values_have_different_bytes(one: object, other: object) -> None:
    """Types count: 1, 1.0 and True are different settings, although Python calls them equal."""

    def typed(value: object) -> object:
        if isinstance(value, dict):
            return sorted((key, typed(item)) for key, item in value.items())
        if isinstance(value, list):
            return [typed(item) for item in value]
        return type(value).__name__, value if value is None else repr(value)

    if repr(typed(one)).replace("-0.0", "0.0") != repr(typed(other)).replace("-0.0", "0.0"):
        assert canonical_json(one) != canonical_json(other)


def test_a_negative_zero_is_zero() -> None:
    assert canonical_json([-0.0]) == canonical_json([0.0])


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        {1, 2},
        b"bytes",
        pytest.param(object(), id="object"),
        {1: "a"},
        "\ud800",
    ],
    ids=repr,
)
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="canonical JSON"):
        canonical_json({"deep": [value]})


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ConfigError):
        canonical_json(endless)


def test_every_part_of_a_computation_is_in_its_key() -> None:
    base = {"step": "s", "version": "1", "config": {"n": 1}, "inputs": [("a", "d1"), ("b", "d2")]}
    changes = [
        {"step": "t"},
        {"version": "2"},
        {"config": {"n": 2}},
        {"config": {"n": 1.0}},
        {"config": {"n": 1, "m": None}},
        {"inputs": [("a", "d2"), ("b", "d1")]},
        {"inputs": [("b", "d2"), ("a", "d1")]},
        {"inputs": [("a", "d1")]},
        {"observed": {"file": "x"}},
        {"environment": {"python": "3.11"}},
    ]
    keys = [step_key(**{**base, **change}) for change in ({}, *changes)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


def test_keys_are_the_same_in_every_process() -> None:
    """Nothing in a key depends on hash randomisation."""
    code = (
        "from tenfold.core.keys import step_key;"
        "print(step_key('s', '1', {'b': [1, 2.5], 'a': {'z': None, 'y': 'ä'}}, [('in', 'd')]))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1
