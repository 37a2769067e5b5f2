"""The whole way from files to a FactorySpec, and every way in which that can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.errors import GraphError, SpecError
from tenfold.spec.load import load
from tenfold.spec.place import read_path, write_path


def faults(steps=None, sets=(), path="factory.yaml") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(path, sets, resolve=steps.get if steps else None, known=steps or ())
    assert caught.value.exit_code == 2
    return list(caught.value.faults)


def test_a_good_file(write, good, steps):
    write(factory=good)
    spec = load("factory.yaml", resolve=steps.get, known=steps)
    assert spec.factory == "laptop"
    assert list(spec.assets) == ["documents", "base", "second", "quality"]
    assert spec.assets["base"].config == {"steps": 50, "rate": 0.001}
    assert spec.assets["base"].checks[1].not_above == "model@champion"
    assert spec.assets["quality"].needs == {
        "corpus": "documents",
        "before": "base",
        "after": "second",
    }
    assert spec.assets["base"].resources.cpu is None
    assert spec.serve.cache.entries == 10_000
    assert spec.directory == Path.cwd()
    assert spec.where("assets.base.step") == "factory.yaml:7:11 assets.base.step"
    assert spec.where("assets.base.checks[1].by") == "factory.yaml:16:13 assets.base.checks[1].by"
    assert spec.where("assets.base.retries") == "factory.yaml:7:5 assets.base.retries"


def test_all_faults_at_once_in_the_order_of_the_file(write, steps):
    write(
        factory="""\
factory: Lap Top
stor: ./here
assets:
  documents: {step: data.colect, config: {source: x}}
  base:
    step: train.pretrain
    needs: [document]
    config: {stepz: 5, rate: fast, schedule: cosin, layers: [1, x]}
    checks:
      - {metric: loss, minn: 3}
      - {metric: loss, by: 1}
    retries: "3"
  other: {step: 7, needs: nothing}
  third: {needs: [base]}
  "a b": {step: data.collect, config: {source: x}}
  loop: {step: govern.bundle, needs: [loop]}
  wrong: {step: evaluate.compare, needs: {before: documents, aftr: third}}
  short: {step: evaluate.compare, needs: [base]}
  kind: {step: train.pretrain, needs: [base]}
  low: {step: train.pretrain, needs: [documents], config: {steps: 0}}
  none: {step: data.collect}
release: [{alias: champion, asset: bas}]
serve: {model: bse, tiers: [edge], port: 70000}
watch: [{every: "61 * * * *", rebuild: [base]}, {drift_of: base, rebuild: []}]
"""
    )
    *found, cron, rebuild = faults(steps)
    assert found == [
        'factory.yaml:1:10 factory: must be small letters, digits and dashes, as in support-bot (seen: "Lap Top")',
        'factory.yaml:2:1: unknown field "stor", did you mean "store"?',
        'factory.yaml:4:21 assets.documents.step: unknown step "data.colect", did you mean "data.collect"?',
        "factory.yaml:7:13 assets.base.needs[0]: needs an unknown asset 'document', did you mean \"documents\"?",
        'factory.yaml:8:14 assets.base.config: train.pretrain has no setting "stepz", did you mean "steps"?',
        "factory.yaml:8:30 assets.base.config.rate: must be a number (seen: 'fast')",
        "factory.yaml:8:46 assets.base.config.schedule: must be one of 'cosine', 'linear' (seen: 'cosin'), did you mean \"cosine\"?",
        "factory.yaml:8:61 assets.base.config.layers: must be list or null (seen: [1, 'x'])",
        'factory.yaml:10:24 assets.base.checks[0]: unknown field "minn", did you mean "min"?',
        "factory.yaml:11:9 assets.base.checks[1]: a check needs a bound: min, max, not_above or not_below",
        'factory.yaml:12:14 assets.base.retries: must be a whole number (seen: "3")',
        "factory.yaml:13:17 assets.other.step: must be text (seen: 7)",
        "factory.yaml:13:27 assets.other.needs: must be a list of assets, or a mapping from parameters to assets",
        'factory.yaml:14:3 assets.third: the field "step" is required',
        'factory.yaml:15:3 assets.a b: the name "a b" must be made of letters, digits, _ and -',
        "factory.yaml:16:38 assets.loop.needs: is part of a cycle: loop -> loop",
        'factory.yaml:17:62 assets.wrong.needs: evaluate.compare has no input "aftr", did you mean "after"?',
        "factory.yaml:18:42 assets.short.needs: evaluate.compare takes 3 inputs (before (model), after (model), corpus (corpus)), 1 given",
        "factory.yaml:19:39 assets.kind.needs: corpus must be a corpus, but 'base' is a model",
        "factory.yaml:20:67 assets.low.config.steps: steps must be 1 or more (seen: 0)",
        'factory.yaml:21:3 assets.none.config: the setting "source" of data.collect is required',
        'factory.yaml:22:19 release[0].alias: must be name@label in small letters, as in model@champion (seen: "champion")',
        'factory.yaml:22:36 release[0].asset: unknown asset "bas", did you mean "base"?',
        'factory.yaml:23:16 serve.model: unknown asset "bse", did you mean "base"?',
        "factory.yaml:23:29 serve.tiers[0]: must be 'exact', 'host' or 'shared' (seen: \"edge\")",
        "factory.yaml:23:42 serve.port: must be less than or equal to 65535 (seen: 70000)",
    ]
    assert cron.startswith("factory.yaml:24:9 watch[0]: ")
    assert "minute" in cron
    assert rebuild == "factory.yaml:24:75 watch[1].rebuild: must not be empty (seen: a list)"


def test_a_misspelt_field_is_one_fault_not_two(write):
    write(
        factory="factory: x\nassets:\n  a: {stpe: s}\n  b: {step: s, checks: [{metrik: x, min: 1}]}\n"
    )
    assert faults() == [
        'factory.yaml:3:7 assets.a: unknown field "stpe", did you mean "step"?',
        'factory.yaml:4:26 assets.b.checks[0]: unknown field "metrik", did you mean "metric"?',
    ]


def test_without_a_resolver_the_graph_is_still_checked(write):
    write(
        factory="factory: x\nassets:\n  a: {step: s, needs: [b]}\n  b: {step: s, needs: [c]}\n  c: {step: s, needs: [a]}\n"
    )
    (found,) = faults()
    assert "is part of a cycle: a -> b -> c -> a" in found


def test_a_resolver_may_say_why_a_step_cannot_be_had(write):
    def resolve(name: str):
        raise GraphError("my_steps.py does not import", hint="line 3")

    write(factory="factory: x\nassets: {a: {step: 'my_steps:a'}}\n")
    with pytest.raises(SpecError) as caught:
        load("factory.yaml", resolve=resolve)
    assert list(caught.value.faults) == [
        "factory.yaml:2:20 assets.a.step: my_steps.py does not import, line 3"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "factory.yaml:1:1: a factory file must be a mapping of fields"),
        ("- a\n", "factory.yaml:1:1: a factory file must be a mapping of fields"),
        (
            "factory: x\n",
            "factory.yaml:1:1: a factory has `assets` to make, or something to `serve`",
        ),
        (
            "factory: x\nassets: {}\n",
            "factory.yaml:1:1: a factory has `assets` to make, or something to `serve`",
        ),
        ("factory: x\nassets: [a]\n", "factory.yaml:2:9 assets: must be a mapping (seen: a list)"),
        ("factory: [x\n", "factory.yaml:2:1: not valid YAML"),
        (
            "factory: x\nextends: {a: b}\nassets: {a: {step: s}}",
            "factory.yaml:2:10 extends: must be a file name or a list of them",
        ),
    ],
)
def test_files_that_are_hardly_factories(write, text, fault):
    write(factory=text)
    (found,) = faults()
    assert found.startswith(fault)


def test_a_file_that_cannot_be_read(write, tmp_path):
    write()
    assert faults(path="nowhere.yaml") == ["nowhere.yaml: cannot be read: there is no such file"]
    with pytest.raises(SpecError, match="tenfold init"):
        load("nowhere.yaml")
    (tmp_path / "factory.yaml").write_bytes(b"factory: \xff\n")
    assert faults() == ["factory.yaml:1:1: not UTF-8 text: byte 9 is not valid"]


def test_a_folder_means_the_factory_file_in_it(write, good, tmp_path):
    write(factory=good)
    assert load(tmp_path).path == tmp_path / "factory.yaml"


def test_importing_spec_is_light():
    code = (
        "import sys, tenfold.spec.load, tenfold.spec.schema\n"
        "print(*sorted({'torch', 'numpy', 'pandas', 'ray', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_paths_survive_being_written_and_read():
    for path in [("assets", "a-b", "checks", 0, "min"), ("x",), (), ("a", 0, 1, "b")]:
        assert read_path(write_path(path)) == path
    assert read_path("a..b") is None
    assert read_path("a[x]") is None
