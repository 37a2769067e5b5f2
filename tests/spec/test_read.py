"""YAML in, plain values and places out. The peers are the json module and PyYAML's own safe loader."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tenfold.spec.read import read

_text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=15,
)


@given(_values)
def test_reads_what_json_says(value):
    tree = read(json.dumps(value, ensure_ascii=False), "f.yaml")
    assert tree.faults == []
    assert tree.data == value


@given(st.dictionaries(_text, _values, max_size=4))
def test_block_style_agrees_with_pyyaml(value):
    # Text stays quoted in the dump, so that YAML 1.1 and 1.2 agree on what it means.
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    assert read(text, "f.yaml").data == yaml.safe_load(text)


@given(_values)
def test_every_value_stands_where_its_place_says(value):
    text = json.dumps(value, indent=1, ensure_ascii=False)
    lines = text.splitlines()
    tree = read(text, "f.yaml")

    def visit(part, path):
        place = tree.places[path].value
        rest = lines[place.line - 1][place.column - 1 :]
        found, _ = json.JSONDecoder().raw_decode("\n".join([rest, *lines[place.line :]]))
        assert found == part
        items = (
            part.items()
            if isinstance(part, dict)
            else enumerate(part)
            if isinstance(part, list)
            else ()
        )
        for key, item in items:
            visit(item, (*path, key))

    visit(value, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),  # PyYAML makes text of this: a learning rate that is not a number
        ("no", "no"),  # PyYAML makes False of Norway
        ("12:30", "12:30"),  # ... and 750 of half past twelve
        ("2024-01-01", "2024-01-01"),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("-5", -5),
        (".5", 0.5),
        ("1.", 1.0),
        ("~", None),
        ("'1'", "1"),
        ("TRUE", True),
    ],
)
def test_bare_words_follow_yaml_1_2(text, value):
    tree = read(f"x: {text}", "f.yaml")
    assert tree.faults == []
    assert tree.data["x"] == value
    assert type(tree.data["x"]) is type(value)


def test_merge_keys_and_anchors():
    tree = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{y: 9}, *a]}\n", "f.yaml")
    assert tree.data == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 9}}
    assert (tree.places[("b", "y")].value.line, tree.places[("b", "y")].value.column) == (2, 16)
    assert tree.data == yaml.safe_load("a: {x: 1, y: 2}\nb: {x: 1, y: 3}\nc: {x: 1, y: 9}\n")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\na: 2\n", 'f.yaml:2:1 a: duplicate key "a", first at f.yaml:1:1: remove one'),
        ("x:\n  1: y\n", "f.yaml:2:3 x: the key 1 must be text: write '1' in quotes"),
        ("x: {[a]: y}\n", "f.yaml:1:5 x: a key must be text"),
        ("x: .inf\n", "f.yaml:1:4 x: .inf is not a finite number"),
        ("x: .nan\n", "f.yaml:1:4 x: .nan is not a finite number"),
        ("x: !!python/object:os.system y\n", "tag"),
        ("x: !secret y\n", "f.yaml:1:4 x: the tag !secret has no meaning here"),
        ("x: &a [*a]\n", "f.yaml:1:4 x[0]: an alias stands inside its own anchor"),
        (
            "a: 1\n b: 2\n",
            "f.yaml:2:3: not valid YAML: mapping values are not allowed in this context",
        ),
        ("a: [1\nb: 2", "f.yaml:2:"),
        ("x: *nowhere", "f.yaml:1:4: not valid YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: not valid YAML: but found another document"),
        ("a: b\nx: \x07\n", "f.yaml:2:"),
        ("x: " + "9" * 5000, "a number of more than 400 digits"),
    ],
)
def test_faults_have_their_place(text, fault):
    found = [str(one) for one in read(text, "f.yaml").faults]
    assert len(found) == 1
    assert fault in found[0]


def test_a_yaml_bomb_is_refused_and_does_not_explode():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    tree = read("\n".join(lines), "f.yaml")
    assert len(tree.faults) == 1
    assert "aliases expand to more than" in tree.faults[0].text


def test_floats_keep_every_bit():
    value = math.pi * 1e-300
    assert read(f"x: {value!r}", "f.yaml").data["x"] == value
