"""The local engine: order, cores, failure and interruption, with attempts that are plain functions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.facts import RunStep
from tenfold.core.graph import Graph, Node
from tenfold.core.step import Resources, step
from tenfold.engines.local import LocalEngine


@step(version="1")
def anything(*inputs: Any) -> None: ...


def row(name: str, status: str = "ran", **changes: Any) -> RunStep:
    digest = f"digest of {name}" if status == "ran" else None
    return RunStep(run_id="r", asset=name, step="s", status=status, digest=digest, **changes)


def execute(
    needs: dict[str, Sequence[str]],
    attempt: Callable[[Node, Sequence[tuple[str, str]]], RunStep],
    *,
    cpu: int = 2,
    cores: dict[str, int] | None = None,
    veto: Callable[[Node, RunStep], str | None] = lambda node, row: None,
    settled: dict[str, RunStep] | None = None,
    keep_going: bool = False,
    engine: LocalEngine | None = None,
) -> dict[str, RunStep]:
    graph = Graph(
        Node(
            name=n, step=anything, needs=tuple(w), resources=Resources(cpu=(cores or {}).get(n, 1))
        )
        for n, w in needs.items()
    )
    return (engine or LocalEngine(cpu)).execute(
        graph,
        graph.order,
        attempt,
        settled=settled or {},
        block=lambda node, reason: row(node.name, "blocked", reason=reason),
        veto=veto,
        keep_going=keep_going,
    )


@settings(max_examples=30)
@given(st.data())
def test_everything_is_made_once_after_what_it_needs_within_the_cores(data: st.DataObject) -> None:
    names = [f"n{i}" for i in range(data.draw(st.integers(1, 8)))]
    needs = {
        name: data.draw(st.lists(st.sampled_from(names[:i]), max_size=3)) if i else []
        for i, name in enumerate(names)
    }
    cores = {name: data.draw(st.integers(1, 4)) for name in names}
    lock = threading.Lock()
    made: list[str] = []
    busy = 0

    def attempt(node: Node, inputs: Sequence[tuple[str, str]]) -> RunStep:
        nonlocal busy
        wanted = min(node.resources.cpu, 3)
        with lock:
            busy += wanted
            assert busy <= 3
            assert set(node.needs) <= set(made)
        assert list(inputs) == [(need, f"digest of {need}") for need in node.needs]
        time.sleep(0.001)
        with lock:
            busy -= wanted
            made.append(node.name)
        return row(node.name)

    done = execute(needs, attempt, cpu=3, cores=cores)
    assert sorted(made) == sorted(names) == sorted(done)


def test_independent_steps_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=20)

    def attempt(node: Node, inputs: Any) -> RunStep:
        together.wait()
        return row(node.name)

    assert len(execute({"a": [], "b": []}, attempt)) == 2


def test_a_failure_stops_what_has_not_started() -> None:
    def attempt(node: Node, inputs: Any) -> RunStep:
        return row(node.name, "failed" if node.name == "bad" else "ran")

    needs = {"bad": [], "down": ["bad"], "far": ["down"], "side": [], "side2": ["side"]}
    done = execute(needs, attempt, cpu=1)
    assert {n: r.status for n, r in done.items()} == {
        "bad": "failed", "down": "blocked", "far": "blocked", "side": "blocked", "side2": "blocked",
    }  # fmt: skip
    done = execute(needs, attempt, cpu=1, keep_going=True)
    assert {n: r.status for n, r in done.items()} == {
        "bad": "failed", "down": "blocked", "far": "blocked", "side": "ran", "side2": "ran",
    }  # fmt: skip
    assert [done[n].reason for n in ("down", "far")] == ["bad failed", "down is blocked"]


def test_a_veto_blocks_what_would_be_built_on_it() -> None:
    done = execute(
        {"a": [], "b": ["a"], "c": []},
        lambda node, inputs: row(node.name),
        veto=lambda node, row: "loss is red" if node.name == "a" else None,
    )
    assert [done[n].status for n in "abc"] == ["ran", "blocked", "ran"]
    assert done["b"].reason == "a has a red check: loss is red"


def test_what_is_settled_is_not_tried() -> None:
    tried = []

    def attempt(node: Node, inputs: Sequence[tuple[str, str]]) -> RunStep:
        tried.append((node.name, list(inputs)))
        return row(node.name)

    settled = {"a": row("a"), "x": row("x", "blocked")}
    done = execute({"a": [], "b": ["a"], "x": [], "y": ["x"]}, attempt, settled=settled)
    assert tried == [("b", [("a", "digest of a")])]
    assert done["y"].reason == "x is blocked"


def test_what_an_attempt_raises_ends_the_run_and_asks_the_others_to_stop() -> None:
    engine = LocalEngine(2)
    stopped = threading.Event()

    def attempt(node: Node, inputs: Any) -> RunStep:
        if node.name == "bad":
            raise MemoryError("no more")
        assert engine.stopping.wait(20)
        stopped.set()
        return row(node.name)

    with pytest.raises(MemoryError):
        execute({"patient": [], "bad": [], "later": ["bad"]}, attempt, engine=engine)
    assert stopped.is_set()


def test_thousands_of_assets() -> None:
    chain = {f"n{i}": [f"n{i - 1}"] if i else [] for i in range(1500)}
    assert len(execute(chain, lambda node, inputs: row(node.name))) == 1500
    fan = {"root": [], **{f"n{i}": ["root"] for i in range(1500)}}
    done = execute(fan, lambda node, inputs: row(node.name, "failed"))
    assert sum(r.status == "blocked" for r in done.values()) == 1500


def test_nothing_to_do() -> None:
    assert execute({}, lambda node, inputs: row(node.name)) == {}
