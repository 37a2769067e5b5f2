"""Plans become runs: skipping, early cut-off, failures, retries, checks, and what is on record afterwards."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from tenfold.core.checks import Check
from tenfold.core.facts import Event, Metric, Run, RunStep, StepResult, Verdict
from tenfold.core.progress import Progress
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, UnknownName, UsageError
from tenfold.factory import Factory


def test_the_second_run_does_nothing(workshop: Any) -> None:
    with workshop.chain("abc") as factory:
        first = factory.run()
        assert [s.status for s in first.steps] == ["ran"] * 3
        second = factory.run()
        assert second.unchanged
        assert second.ok
        assert [s.digest for s in second.steps] == [s.digest for s in first.steps]
    assert workshop.log.count("start") == 3


def test_another_process_knows_what_was_done(workshop: Any) -> None:
    child = workshop.fork(lambda: workshop.chain("abc").run())
    assert workshop.join(child) == 0
    with workshop.chain("abc") as factory:
        assert factory.plan().is_unchanged
        assert factory.asset("c").content["inputs"][0]["name"] == "b"


def test_the_same_factory_in_two_folders_makes_the_same_bytes(
    workshop: Any, tmp_path: Path
) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with Factory("x", directory=tmp_path / name) as factory:
            factory.add(workshop.step("a"), name="a").add(workshop.step("b"), name="b", needs=["a"])
            outcome = factory.run()
            digests.append((outcome.digest("a"), outcome.digest("b"), outcome["b"].key))
    assert digests[0] == digests[1]


def test_a_changed_setting_is_explained_and_rebuilt(workshop: Any) -> None:
    workshop.chain("abc").run()
    with workshop.chain("abc", value=7) as factory:
        plan = factory.plan()
        assert plan["a"].reason == "config.value 0 -> 7"
        assert [s.status for s in factory.run().steps] == ["ran"] * 3
    with workshop.chain("abc") as factory:  # and back
        assert factory.run().unchanged
        assert factory.asset("c").content["value"] == 0  # what the newest run settled on
        result = factory.result("a")
        assert result is not None
        assert result.config["value"] == 0


def test_the_same_bytes_stop_the_cascade(workshop: Any) -> None:
    def factory(value: int) -> Factory:
        made = workshop.factory()
        made.add(workshop.step("a"), name="a", config={"value": value, "same": True})
        return made.add(workshop.step("b"), name="b", needs=["a"])

    factory(1).run()
    outcome = factory(2).run()
    assert [(s.asset, s.status, s.reason) for s in outcome.steps] == [
        ("a", "ran", ""),
        ("b", "skipped", "unchanged"),
    ]
    assert workshop.log.count("start", "b") == 1


def test_a_renamed_asset_repeats_nothing_and_is_known_by_its_new_name(workshop: Any) -> None:
    workshop.chain("abc").run()

    with workshop.factory() as factory:
        factory.add(workshop.step("a"), name="alpha")
        factory.add(workshop.step("b"), name="beta", needs=["alpha"])
        assert factory.run().unchanged
        assert factory.asset("beta").name == "beta"
        assert factory.result("beta") is not None
        move = factory.promote("beta", "model@champion")
        assert (move.asset, move.digest) == ("beta", factory.asset("beta").digest)
    assert workshop.log.count("start") == 3


def test_two_assets_that_are_the_same_work_are_made_once(workshop: Any) -> None:
    work = workshop.step("slow", delay_s=0.1)
    with workshop.factory() as factory:
        for name in ("one", "two", "three"):
            factory.add(work, name=name)
        factory._settings = type(factory._settings)(cpu=3)
        outcome = factory.run()
        assert sorted(s.status for s in outcome.steps) == ["ran", "skipped", "skipped"]
        assert factory.asset("three").digest == factory.asset("one").digest
    assert workshop.log.count("start", "slow") == 1


def test_two_factories_on_one_ledger(workshop: Any, tmp_path: Path) -> None:
    """The second did not build it, but it is its asset all the same."""
    for name in ("one", "two"):
        with Factory(name, directory=tmp_path) as factory:
            factory.add(
                workshop.step("a", score=0.5), name="a", checks=[Check(metric="score", min=0.1)]
            )
            assert factory.run().ok
            assert factory.promote("a", f"{name}@champion").digest == factory.asset("a").digest
    assert workshop.log.count("start") == 1


def test_only_the_targets_and_what_they_need(workshop: Any) -> None:
    with workshop.chain("abc") as factory:
        outcome = factory.run("b")
        assert [s.asset for s in outcome.steps] == ["a", "b"]
        with pytest.raises(UnknownName):
            factory.run("nope")
        with pytest.raises(UsageError, match="has not been built"):
            factory.asset("c")


def test_force_makes_the_targets_again(workshop: Any) -> None:
    with workshop.chain("abc") as factory:
        factory.run()
        outcome = factory.run("b", force=True)
        assert [(s.asset, s.status) for s in outcome.steps] == [("a", "skipped"), ("b", "ran")]
    assert [workshop.log.count("start", name) for name in "abc"] == [1, 2, 1]


def test_a_forced_step_that_does_not_repeat_itself_loses_nothing(workshop: Any) -> None:
    @step(version="1")
    def noise(ctx: Context) -> Any:
        return {"noise": os.urandom(8).hex()}

    with workshop.factory().add(noise) as factory:
        first = factory.run().digest("noise")
        factory.promote("noise", "noise@champion")
        second = factory.run(force=True).digest("noise")
        assert first != second
        assert factory.asset("noise@champion").digest == first
        assert factory.asset("noise@champion").content
        assert factory.asset("noise").digest == second
        assert factory.run().unchanged
        factory.promote("noise", "noise@champion")
        assert factory.rollback("noise@champion").digest == first
        factory.gc(keep_last=1, grace_s=0)
        assert factory.asset("noise@champion").content


def test_an_empty_factory_runs(workshop: Any) -> None:
    with workshop.factory() as factory:
        assert factory.plan().steps == ()
        assert factory.run().ok


def test_a_step_that_raises(workshop: Any) -> None:
    @step(version="3", name="test.broken")
    def broken(a: Any, ctx: Context) -> Any:
        ctx.log("about to", what=Path("x"), bad=math.nan)
        (ctx.draft("asset").path("half")).write_text("half")
        raise ZeroDivisionError("by zero, in \udcff")

    with workshop.chain("a") as factory:
        factory.add(broken, name="broken", needs=["a"])
        factory.add(workshop.step("after"), name="after", needs=["broken"])
        outcome = factory.run()
        assert outcome.status == "failed"
        assert not outcome.ok
        assert outcome["after"].status == "blocked"
        assert outcome["after"].reason == "broken failed"
        error = outcome["broken"].error
        assert error is not None
        for part in ("broken", "test.broken 3", "attempt 1", f"a {outcome.digest('a')[:12]}",
                     "ZeroDivisionError: by zero", f"tenfold show {outcome.run_id}"):  # fmt: skip
            assert part in error
        logged = factory.ledger.read(Event, run_id=outcome.run_id, asset="broken")
        assert [e.event for e in logged] == ["about to", "step.failed"]  # what it said is kept
        assert "ZeroDivisionError" in logged[1].fields["traceback"]
        assert __file__ in logged[1].fields["traceback"]
        assert logged[1].level == "error"
        [run] = factory.ledger.read(Run, id=outcome.run_id)
        assert (run.status, run.error) == ("failed", "failed: broken")
        assert factory.ledger.read(StepResult, asset="broken") == []
        assert list((workshop.folder / ".tenfold" / "staging").iterdir()) == []
        with pytest.raises(UsageError, match="has no digest"):
            outcome.digest("broken")
        assert factory.run()["a"].status == "skipped"
    workshop.check()


def test_without_keep_going_nothing_new_starts_and_with_it_everything_else_does(
    workshop: Any,
) -> None:
    @step(version="1")
    def broken(ctx: Context) -> Any:
        raise RuntimeError("no")

    def factory() -> Factory:
        made = workshop.factory()
        made._settings = type(made._settings)(cpu=1)
        made.add(broken).add(workshop.step("down"), name="down", needs=["broken"])
        return made.add(workshop.step("side"), name="side")

    with factory() as made:
        outcome = made.run()
        assert {s.asset: s.status for s in outcome.steps} == {
            "broken": "failed", "down": "blocked", "side": "blocked",
        }  # fmt: skip
        assert outcome["side"].reason == "not started: another step failed"
        outcome = made.run(keep_going=True)
        assert outcome.status == "failed"
        assert outcome["side"].status == "ran"
        assert outcome["down"].status == "blocked"


def test_retries(workshop: Any) -> None:
    @step(version="1", retries=2)
    def flaky(ctx: Context, *, good_at: int = 3) -> Any:
        workshop.log.say("try", good_at)
        if workshop.log.count("try", good_at) < good_at:
            raise OSError("the network is away")
        return {}

    with workshop.factory().add(flaky) as factory:
        outcome = factory.run()
        assert (outcome["flaky"].status, outcome["flaky"].attempt) == ("ran", 3)
        assert len(factory.ledger.read(Event, event="step.failed")) == 2
    with workshop.factory().add(flaky, config={"good_at": 9}) as factory:
        assert factory.run()["flaky"].status == "failed"
    assert workshop.log.count("try", 9) == 3


def test_a_fault_of_usage_is_not_retried(workshop: Any) -> None:
    @step(version="1", retries=5)
    def wrong(ctx: Context) -> Any:
        workshop.log.say("try")
        raise ConfigError("cannot work like this", hint="never")

    with workshop.factory().add(wrong) as factory:
        assert "cannot work like this" in str(factory.run()["wrong"].error)
    assert workshop.log.count("try") == 1


@pytest.mark.parametrize(
    ("value", "says"), [(None, "must return"), (3, "must return"), ({"x": {1}}, "TypeError")]
)
def test_a_step_that_returns_no_asset(workshop: Any, value: Any, says: str) -> None:
    @step(version="1")
    def odd(ctx: Context) -> Any:
        return value

    with workshop.factory().add(odd) as factory:
        assert says in str(factory.run()["odd"].error)


def test_a_step_that_makes_another_kind_than_it_says(workshop: Any) -> None:
    from tenfold.core.asset import Model

    @step(version="1", produces=Model)
    def odd(ctx: Context) -> Any:
        return {"a": "report"}

    with workshop.factory().add(odd) as factory:
        assert "says it makes a model but made a report" in str(factory.run()["odd"].error)


def test_metrics_curves_and_progress_are_on_record(workshop: Any) -> None:
    @step(version="1")
    def train(ctx: Context) -> Any:
        for n in range(1000):
            ctx.metric("loss", 1 / (n + 1), unit="nats", step=n)
            ctx.progress(n, 1000, f"step {n}")
        ctx.metric("final", math.nan)
        ctx.metric("size", 3)
        with pytest.raises(ConfigError, match="must be a number"):
            ctx.metric("bad", "x")  # type: ignore[arg-type]
        return {}

    seen: list[Progress] = []
    with workshop.factory().add(train, checks=[Check(metric="final", max=1)]) as factory:
        outcome = factory.run(on_event=seen.append)
        assert outcome.ok
        key = outcome["train"].key
        curve = factory.ledger.read(Metric, key=key, name="loss")
        assert [m.step for m in curve] == list(range(1000))
        values = {m.name: m.value for m in factory.ledger.read(Metric, key=key, step=None)}
        assert math.isnan(values["final"])
        assert values["size"] == 3
        assert values["step.wall_s"] > 0
        [verdict] = factory.ledger.read(Verdict, key=key)
        assert (verdict.state, verdict.reason) == ("red", "final is not a number")
    assert [p.done for p in seen if p.status == "running"][-1] == 0.999
    assert seen[-1].status == "ran"


def test_a_red_check_that_blocks_the_run(workshop: Any) -> None:
    def factory(limit: float) -> Factory:
        made = workshop.factory()
        check = Check(metric="loss", max=limit, blocks="run")
        made.add(workshop.step("a", loss=2.0), name="a", checks=[check])
        return made.add(workshop.step("b"), name="b", needs=["a"])

    with factory(1.0) as made:
        outcome = made.run()
        assert [s.status for s in outcome.steps] == ["ran", "blocked"]
        assert "loss = 2 is above 1" in outcome["b"].reason
        assert not outcome.ok
        assert made.plan()["b"].action == "blocked"
        assert [s.status for s in made.run().steps] == ["skipped", "blocked"]
    with factory(3.0) as made:  # a changed rule needs no rebuild
        outcome = made.run()
        assert [s.status for s in outcome.steps] == ["skipped", "ran"]
        assert [v.state for v in made.ledger.read(Verdict, asset="a")] == ["red", "green"]


def test_lost_bytes_are_made_again(workshop: Any) -> None:
    with workshop.chain("abc") as factory:
        outcome = factory.run()
        [ref] = factory.asset("b").files.values()
        factory.blobs.delete(ref.sha256)
        assert "missing" in factory.plan()["b"].reason
        again = factory.run()
        assert [s.status for s in again.steps] == ["skipped", "ran", "skipped"]
        assert again.digest("b") == outcome.digest("b")
    workshop.check()


def test_changed_code_with_the_same_version_is_warned_about(workshop: Any) -> None:
    def first() -> Any:
        @step(version="1", name="test.code")
        def code(ctx: Context) -> Any:
            return {"n": 1}

        return code

    def second(version: str = "1") -> Any:
        @step(version=version, name="test.code")
        def code(ctx: Context) -> Any:
            return {"n": 2}

        return code

    workshop.factory().add(first(), name="a").run()
    with workshop.factory().add(second(), name="a") as factory:
        [warning] = factory.plan().warnings
        assert "test.code" in warning
        assert factory.run().unchanged
    with workshop.factory().add(second("2"), name="a") as factory:
        assert factory.plan()["a"].reason == "version 1 -> 2"
        assert factory.plan().warnings == ()


def test_strict_env_keys_the_environment(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenfold.engines import attempt
    from tenfold.factory import factory as module

    with workshop.chain("a") as factory:
        factory.run()
    with workshop.factory(strict_env=True).add(workshop.step("a"), name="a") as factory:
        assert factory.run()["a"].status == "ran"
        assert factory.run().unchanged
        for where in (attempt, module):
            monkeypatch.setattr(where, "environment", lambda: {"python": "3.99"})
        assert factory.plan()["a"].reason == "the environment or the kernel changed"
        assert factory.run()["a"].status == "ran"


def test_a_source_is_looked_at(workshop: Any) -> None:
    source = workshop.folder / "data.txt"

    def look(config: Any, directory: Path) -> Any:
        return {"text": (directory / "data.txt").read_text()}

    @step(version="1", observe=look)
    def collect(ctx: Context) -> Any:
        return {"text": (ctx.scratch["directory"] / "data.txt").read_text()}

    with workshop.factory().add(collect) as factory:
        with pytest.raises(ConfigError, match="could not look at its source"):
            factory.plan()
        source.write_text("one")
        factory.run()
        assert factory.run().unchanged
        source.write_text("two")
        assert factory.plan()["collect"].reason == "its source changed"
        assert factory.run()["collect"].status == "ran"
        source.write_text("one")
        assert factory.run().unchanged
        assert factory.asset("collect").content == {"text": "one"}


def test_seeds(workshop: Any) -> None:
    @step(version="1")
    def draw(ctx: Context, *, seed: int = 0) -> Any:
        return {"seed": ctx.seed, "setting": seed}

    def run(**options: Any) -> Any:
        with workshop.factory().add(draw, **options) as factory:
            factory.run()
            return factory.asset("draw").content

    assert run(seed=7) == {"seed": 7, "setting": 0}
    assert run(config={"seed": 7})["setting"] == 7
    assert run(config={"seed": 7})["seed"] != 7
    assert run(config={"seed": 7}, seed=7) == {"seed": 7, "setting": 7}
    assert run() == run()


def test_more_cores_than_there_are_are_not_waited_for(workshop: Any) -> None:
    with workshop.factory() as factory:
        factory._settings = type(factory._settings)(cpu=2)
        factory.add(workshop.step("big"), name="big", resources=Resources(cpu=64))
        assert factory.run().ok


def test_a_long_chain(workshop: Any) -> None:
    with Factory("long", store="memory:", directory=workshop.folder) as factory:
        work = workshop.step("n")
        for n in range(300):
            factory.add(
                work,
                name=f"n{n}",
                needs=[f"n{n - 1}"] if n else [],
                config={"same": True, "value": n},
            )
        assert factory.run().ok
        assert factory.run().unchanged


def test_notebooks_show_hostile_text_as_text(workshop: Any) -> None:
    @step(version="1")
    def broken(ctx: Context) -> Any:
        raise RuntimeError("<script>alert(1)</script>")

    with workshop.factory().add(broken, name="<b>") as factory:
        outcome = factory.run()
        assert "&lt;b&gt;" in factory._repr_html_()
        assert repr(factory).endswith("assets: 1>")
        assert str(outcome).splitlines()[-1] == f"run {outcome.run_id} failed"
        html = outcome._repr_html_()
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        assert "&lt;b&gt;" in html
        assert "<script>" not in factory.plan()._repr_html_()


def test_an_outcome_as_a_record(workshop: Any) -> None:
    import json

    with workshop.chain("a") as factory:
        record = json.loads(json.dumps(factory.run().to_dict()))
        assert record["run"]["status"] == "succeeded"
        assert record["steps"][0]["asset"] == "a"
        assert record["unchanged"] is False
        rows = factory.ledger.read(RunStep, run_id=record["run"]["id"])
        assert [row.digest for row in rows] == [record["steps"][0]["digest"]]
