"""`extends:` below and `--set` above a factory file, with the places of what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.errors import SpecError
from tenfold.spec.load import load


def faults(steps, *sets: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load("factory.yaml", sets, resolve=steps.get, known=steps)
    return list(caught.value.faults)


def test_mappings_merge_lists_replace_null_removes(write, good, steps):
    write(
        base=good,
        factory="""\
extends: base.yaml
factory: bigger
assets:
  base: {config: {steps: 500}, checks: [{metric: loss, max: 3}]}
  quality: null
serve: {port: 0}
release: []
watch: []
""",
    )
    spec = load("factory.yaml", resolve=steps.get, known=steps)
    assert spec.factory == "bigger"
    assert list(spec.assets) == ["documents", "base", "second"]
    assert spec.assets["base"].config == {"steps": 500, "rate": 0.001}
    assert [check.max for check in spec.assets["base"].checks] == [3]
    assert (spec.serve.model, spec.serve.port) == ("model@champion", 0)
    assert spec.where("assets.base.config.steps") == "factory.yaml:4:26 assets.base.config.steps"
    assert spec.where("assets.base.config.rate") == "base.yaml:11:13 assets.base.config.rate"
    assert spec.where("assets.base.checks[0].max") == "factory.yaml:4:61 assets.base.checks[0].max"


def test_a_fault_points_into_the_layer_it_stands_in(write, good, steps):
    write(
        base=good.replace("steps: 50", "stps: 50"),
        factory="extends: base.yaml\nfactory: x\nengine: big\n",
    )
    assert sorted(faults(steps)) == [
        'base.yaml:10:7 assets.base.config: train.pretrain has no setting "stps", did you mean "steps"?',
        "factory.yaml:3:9 engine: must be 'local' (seen: \"big\")",
    ]


def test_several_bases_later_ones_win_and_paths_are_relative_to_who_names_them(write, good, steps):
    write(factory="extends: [deep/one.yaml, two.yaml]\n", two="factory: two\n")
    Path("deep").mkdir()
    Path("deep/one.yaml").write_text("extends: ./zero.yaml\nstore: ./one\n")
    Path("deep/zero.yaml").write_text(good)
    spec = load("factory.yaml", resolve=steps.get, known=steps)
    assert (spec.factory, spec.store, len(spec.assets)) == ("two", "./one", 4)
    assert spec.where("store") == "deep/one.yaml:2:8 store"


def test_a_circle_of_files_and_a_missing_file(write, steps, good):
    write(
        factory="extends: [a.yaml, gone.yaml]\n" + good,
        a="extends: b.yaml\n",
        b="extends: factory.yaml\n",
    )
    assert faults(steps) == [
        "b.yaml:1:10 extends: a file extends itself: factory.yaml -> a.yaml -> b.yaml -> factory.yaml",
        'factory.yaml:1:19 extends[1]: there is no file "gone.yaml"',
    ]


def test_a_diamond_is_not_a_circle(write, steps, good):
    write(
        factory="extends: [a.yaml, b.yaml]\n",
        a="extends: base.yaml\n",
        b="extends: base.yaml\n",
        base=good,
    )
    assert load("factory.yaml", resolve=steps.get).factory == "laptop"


def test_sets_override_in_order(write, good, steps):
    write(factory=good)
    spec = load(
        "factory.yaml",
        [
            "assets.base.config.steps=7",
            "assets.base.config.steps=8",
            "assets.base.checks[0].max=9",
            "assets.base.retries=2",
            "assets.documents.config={source: other, limit: 1}",
            "cost.usd_per_kwh=0.3",
            "factory=renamed",
        ],
        resolve=steps.get,
        known=steps,
    )
    assert spec.assets["base"].config == {"steps": 8, "rate": 0.001}
    assert spec.assets["base"].checks[0].max == 9
    assert spec.assets["base"].retries == 2
    assert spec.assets["documents"].config == {"source": "other", "limit": 1}
    assert (spec.cost.usd_per_kwh, spec.factory) == (0.3, "renamed")
    assert spec.where("assets.base.config.steps").startswith("--set assets.base.config.steps=8 ")


def test_a_wrong_range_is_told_beside_a_wrong_type_and_a_wrong_name(write, good, steps):
    write(factory=good)
    overrides = [f"assets.base.config.{one}" for one in ("steps=0", "rate=fast", "layerz=1")]
    assert sorted(faults(steps, *overrides)) == [
        '--set assets.base.config.layerz=1 assets.base.config: train.pretrain has no setting "layerz", '
        'did you mean "layers"?',
        "--set assets.base.config.rate=fast assets.base.config.rate: must be a number (seen: 'fast')",
        "--set assets.base.config.steps=0 assets.base.config.steps: steps must be 1 or more (seen: 0)",
    ]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "assets.bse.config.steps=1",
            '--set assets.bse.config.steps=1 assets: unknown asset "bse", did you mean "base"?',
        ),
        ("assets.base.confg.steps=1", 'assets.base: unknown field "confg", did you mean "config"?'),
        (
            "assets.base.config.stepz=1",
            'train.pretrain has no setting "stepz", did you mean "steps"?',
        ),
        (
            "assets.base.config.steps=many",
            "assets.base.config.steps: must be a whole number (seen: 'many')",
        ),
        ("assets.base.config.steps=0", "steps must be 1 or more"),
        ("assets.base.checks[5].max=0", "unknown path assets.base.checks[5].max: it has 2 items"),
        ("assets.base.checks.max=0", "unknown path assets.base.checks.max: it is a list"),
        ("assets[0]=1", "unknown path assets[0]: this is not a list"),
        ("factory.name=1", "unknown path factory.name: this is not a mapping"),
        ("assets.base.config", "must be path=value, as in assets.base.config.steps=50"),
        ("=3", "must be path=value"),
        ("assets.base.config.steps=[1", "not valid YAML"),
        ("srve.port=1", '--set srve.port=1: unknown field "srve", did you mean "serve"?'),
    ],
)
def test_sets_that_cannot_be(write, good, steps, override, fault):
    write(factory=good)
    found = faults(steps, override)
    assert len(found) == 1
    assert found[0].startswith(f"--set {override}")
    assert fault in found[0]
