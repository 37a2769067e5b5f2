"""The plan: what runs, what is skipped, what is blocked, and why; against a past that is a plain dict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tenfold.core.asset import Manifest
from tenfold.core.facts import StepResult
from tenfold.core.graph import Graph, Node
from tenfold.core.plan import Plan, PlannedStep, make_plan, node_key
from tenfold.errors import UnknownName

Make = Callable[..., Node]


class Past:
    """Everything planning asks, from memory; `build` plays a run."""

    def __init__(self) -> None:
        self.results: dict[str, StepResult] = {}
        self.newest: dict[str, StepResult] = {}
        self.world: dict[str, Any] = {}
        self.lost: set[str] = set()
        self.reds: dict[str, str] = {}

    def result(self, key: str) -> StepResult | None:
        return self.results.get(key)

    def last(self, asset: str) -> StepResult | None:
        return self.newest.get(asset)

    def intact(self, result: StepResult) -> bool:
        return result.asset not in self.lost

    def observed(self, node: Node) -> Any:
        return self.world.get(node.name)

    def red(self, node: Node, result: StepResult) -> str | None:
        return self.reds.get(node.name)

    def build(self, graph: Graph, contents: dict[str, str] | None = None) -> None:
        """Run everything; an asset's bytes are `contents[name]`, by default made of its key."""
        digests: dict[str, str] = {}
        for name in graph.order:
            node = graph[name]
            inputs = [(need, digests[need]) for need in node.needs]
            key = node_key(node, inputs, self.observed(node))
            output = Manifest("asset", {}, {"content": (contents or {}).get(name, key)})
            digests[name] = output.digest
            result = StepResult(
                key=key,
                factory="f",
                asset=name,
                step=node.step.name,
                version=node.step.version,
                config=node.identity,
                inputs=tuple(inputs),
                output=output,
                run_id="r",
                finished_at_s=0.0,
                source_sha256="old",
                observed=self.observed(node),
            )
            self.results.setdefault(key, result)
            self.newest[name] = self.results[key]


def actions(plan: Plan) -> dict[str, str]:
    return {step.asset: step.action for step in plan.steps}


@pytest.fixture
def chain(make_node: Make) -> Callable[..., Graph]:
    def make(**changes: dict[str, Any]) -> Graph:
        return Graph(
            [
                make_node("a", **changes.get("a", {})),
                make_node("b", "a", **changes.get("b", {})),
                make_node("c", "b", **changes.get("c", {})),
                make_node("other", **{"step": "test.other", **changes.get("other", {})}),
            ]
        )

    return make


def test_nothing_built_yet(chain: Callable[..., Graph]) -> None:
    plan = make_plan("f", chain(), Past())
    assert actions(plan) == {"a": "run", "b": "maybe", "c": "maybe", "other": "run"}
    assert plan["a"].reason == "never built"
    assert plan["b"].reason.startswith("after a")
    assert not plan.is_unchanged


def test_unchanged(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.build(chain())
    plan = make_plan("f", chain(), past)
    assert plan.is_unchanged
    assert plan.counts == {"skip": 4, "run": 0, "maybe": 0, "blocked": 0}


def test_same_bytes_upstream_stop_the_cascade(chain: Callable[..., Graph]) -> None:
    past = Past()
    same = {"a": "the same bytes"}
    past.build(chain(), same)
    changed = chain(a={"version": "2"})
    before = make_plan("f", changed, past)
    assert actions(before) == {"a": "run", "b": "maybe", "c": "maybe", "other": "skip"}
    a_only = Graph([changed["a"]])
    past.build(a_only, same)  # a was made again, and came out the same
    assert make_plan("f", changed, past).is_unchanged


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "2"}, "version 1 -> 2"),
        ({"step": "test.new"}, "step test.step -> test.new"),
        ({"config": {"n": 2}}, "config.n 1 -> 2"),
        ({"config": {"n": 1, "m": None}}, "config.m unset -> None"),
        ({"config": {}}, "config.n 1 -> unset"),
        ({"config": {"n": 1}, "seed": 7}, "seed unset -> 7"),
    ],
)
def test_what_changed_is_said(make_node: Make, change: dict[str, Any], reason: str) -> None:
    past = Past()
    past.build(Graph([make_node("a", config={"n": 1})]))
    plan = make_plan("f", Graph([make_node("a", **({"config": {"n": 1}} | change))]), past)
    assert plan["a"].action == "run"
    assert plan["a"].reason == reason


def test_changed_inputs_are_said(make_node: Make) -> None:
    past = Past()

    def graph(*needs: str, version: str = "1") -> Graph:
        return Graph(
            [
                make_node("a", config={"n": 1}, version=version),
                make_node("b", config={"n": 2}),
                make_node("c", config={"n": 3}),
                make_node("d", *needs, step="test.d"),
            ]
        )

    past.build(graph("a", "b"))
    assert make_plan("f", graph("b", "a"), past)["d"].reason == "its inputs come in another order"
    past.build(Graph([make_node("c", config={"n": 3})]))
    assert make_plan("f", graph("a", "c"), past)["d"].reason == "new input c"
    assert make_plan("f", graph("a"), past)["d"].reason == "an input was taken away"
    past.build(Graph([make_node("a", config={"n": 1}, version="2")]))
    assert make_plan("f", graph("a", "b", version="2"), past)["d"].reason == "input a changed"


def test_a_source_that_changed(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.world["a"] = {"files": ("x",)}
    past.build(chain())
    past.newest["a"] = replace(
        past.newest["a"], observed={"files": ["x"]}
    )  # as a ledger gives it back
    assert make_plan("f", chain(), past).is_unchanged
    past.world["a"] = {"files": ("x", "y")}
    assert make_plan("f", chain(), past)["a"].reason == "its source changed"


def test_lost_bytes_are_made_again(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.build(chain())
    past.lost.add("b")
    plan = make_plan("f", chain(), past)
    assert actions(plan) == {"a": "skip", "b": "run", "c": "maybe", "other": "skip"}
    assert "missing from the store" in plan["b"].reason


def test_force_runs_what_is_unchanged(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.build(chain())
    plan = make_plan("f", chain(), past, force=["b"])
    assert actions(plan) == {"a": "skip", "b": "run", "c": "maybe", "other": "skip"}
    assert plan["b"].reason == "asked for"
    with pytest.raises(UnknownName, match="asset 'bb'"):
        make_plan("f", chain(), past, force=["bb"])


def test_a_red_check_blocks_everything_downstream(make_node: Make) -> None:
    from tenfold.core.checks import Check

    def graph() -> Graph:
        check = Check(metric="m", max=1, blocks="run")
        return Graph(
            [
                make_node("a", checks=(check,)),
                make_node("b", "a"),
                make_node("c", "b", "side"),
                make_node("side", step="test.side"),
            ]
        )

    past = Past()
    past.build(graph())
    assert make_plan("f", graph(), past).is_unchanged
    past.reds["a"] = "m <= 1: m = 2 is above 1"
    plan = make_plan("f", graph(), past)
    assert actions(plan) == {"a": "skip", "b": "blocked", "c": "blocked", "side": "skip"}
    assert plan["b"].reason == "a has a red check: m <= 1: m = 2 is above 1"
    assert plan["c"].reason == "b is blocked"


def test_code_that_changed_without_its_version_is_warned_about(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.build(chain())
    plan = make_plan("f", chain(), past, source_of=lambda node: "old")
    assert plan.warnings == ()
    plan = make_plan("f", chain(), past, source_of=lambda node: "new")
    assert plan.is_unchanged  # warned about, never keyed
    assert any("test.step" in text and "version" in text for text in plan.warnings)


def test_only_targets_and_what_they_need(chain: Callable[..., Graph]) -> None:
    assert actions(make_plan("f", chain(), Past(), ["b"])) == {"a": "run", "b": "maybe"}
    with pytest.raises(UnknownName):
        make_plan("f", chain(), Past(), ["nope"])


def test_names_are_not_part_of_the_work(make_node: Make) -> None:
    past = Past()
    past.build(Graph([make_node("a"), make_node("b", "a")]))
    assert make_plan("f", Graph([make_node("x"), make_node("y", "x")]), past).is_unchanged


def test_the_environment_counts_only_when_it_is_given(chain: Callable[..., Graph]) -> None:
    past = Past()
    past.build(chain())
    plan = make_plan("f", chain(), past, environment={"python": "3.99"})
    assert plan["a"].action == "run"
    assert "environment" in plan["a"].reason


def test_a_plan_can_be_shown() -> None:
    step = PlannedStep(
        asset="<b>", step="s<i>", needs=(), action="run", reason="config.x '<u>' -> 1"
    )
    plan = Plan(factory="f", steps=(step,), warnings=("careful",))
    html = plan._repr_html_()
    assert "<b>&lt;b&gt;</b>" in html
    assert "<i>" not in html
    assert "<u>" not in html
    assert "warning: careful" in plan.explain()
    assert plan.to_dict()["counts"]["run"] == 1
    assert Plan(factory="f", steps=()).explain() == ""
    with pytest.raises(UnknownName):
        plan["nope"]


def test_planning_a_long_chain_does_not_recurse(make_node: Make) -> None:
    graph = Graph([make_node("n0"), *(make_node(f"n{i}", f"n{i - 1}") for i in range(1, 5000))])
    past = Past()
    past.build(graph)
    assert make_plan("f", graph, past).is_unchanged
