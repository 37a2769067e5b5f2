"""The JSON Schema for editors: valid by its own standard, true to the loader, and shipped as generated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tenfold.errors import SpecError
from tenfold.factory.catalogue import built_in_steps
from tenfold.spec.load import load
from tenfold.spec.schema import SHIPPED, factory_schema, field_docs, schema_text, type_schema


def faults(schema, text: str) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def test_it_is_a_json_schema(steps):
    Draft202012Validator.check_schema(factory_schema(steps))


def test_the_shipped_schema_is_the_generated_one():
    generated = schema_text(built_in_steps())
    assert SHIPPED.read_text(encoding="utf-8") == generated, (
        "run: tenfold schema > src/tenfold/spec/factory.schema.json"
    )


def test_every_example_is_valid_for_editors_and_for_the_loader():
    root = Path(__file__).parents[2]
    schema = factory_schema(built_in_steps())
    files = [*root.glob("examples/*/factory.yaml"), root / "src/tenfold/cli/template.yaml"]
    assert len(files) >= 2
    for path in files:
        assert faults(schema, path.read_text(encoding="utf-8")) == [], path
        load(path, resolve=built_in_steps().get)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("factory: laptop", "factory: Lap Top"),
        ("factory: laptop\n", ""),
        ("factory: laptop", "factory: laptop\nstor: x"),
        ("step: data.collect", "step: data.colect"),
        ("step: data.collect", "step: [data.collect]"),
        ("steps: 50", "stepz: 50"),
        ("steps: 50", "steps: many"),
        ("rate: 1e-3", "schedule: cosin"),
        ("needs: [documents]\n    config", "needs: [documents, second]\n    config"),
        ("before: base, ", "befor: base, "),
        ("metric: loss, max", "metric: loss, maxx"),
        ("alias: model@champion", "alias: champion"),
        ("tiers: [exact]", "tiers: [edge]"),
        ("tiers: [exact]", "port: 70000"),
        ("rebuild: [base]", "rebuild: []"),
    ],
)
def test_what_an_editor_underlines_the_loader_refuses(write, good, steps, old, new):
    schema = factory_schema(steps)
    write(factory=good)
    load("factory.yaml", resolve=steps.get)
    assert faults(schema, good.replace("1e-3", "0.001")) == []
    assert old in good
    bad = good.replace(old, new, 1)
    assert faults(schema, bad.replace("1e-3", "0.001")) != []
    write(factory=bad)
    with pytest.raises(SpecError):
        load("factory.yaml", resolve=steps.get)


def test_a_layer_may_leave_out_what_its_base_says(steps):
    schema = factory_schema(steps)
    layer = "extends: base.yaml\nassets: {base: {config: {steps: 9}}, quality: null}\n"
    assert faults(schema, layer) == []
    assert faults(schema, layer.replace("extends: base.yaml\n", "factory: x\n")) != []


def test_settings_are_described_where_they_live(steps):
    config = factory_schema(steps)["$defs"]["config train.pretrain"]["properties"]
    assert config["steps"]["description"] == "Optimiser steps, 1 or more."
    assert config["steps"]["default"] == 300
    assert config["schedule"]["enum"] == ["cosine", "linear"]
    assert field_docs(int) == {}


def test_every_built_in_setting_is_explained():
    """A knob without a word about its unit and range cannot be turned."""
    silent = []
    schema = factory_schema(built_in_steps())
    for name, step in built_in_steps().items():
        for field, entry in schema["$defs"][f"config {name}"]["properties"].items():
            if "description" not in entry:
                silent.append(f"{name}.{field}")
        assert step.function.__doc__, name
    assert silent == []


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int, {"type": "integer"}),
        (list[float], {"type": "array", "items": {"type": "number"}}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (object, {}),
    ],
)
def test_types(hint, schema):
    assert type_schema(hint) == schema
