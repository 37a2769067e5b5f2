"""kill -9, Ctrl-C and two processes at once: nothing is lost, nothing is done twice, nothing is half done."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from tenfold.core.facts import Partial, Run, RunStep
from tenfold.core.progress import Progress
from tenfold.core.step import Context, step


def test_twenty_kills_at_random_moments_repeat_at_most_the_running_step(workshop: Any) -> None:
    draw = random.Random(20)
    names = "abcdef"

    def work() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one step at a time
        for value in itertools.count():
            with workshop.chain(names, value=value, delay_s=0.01) as factory:
                assert factory.run().status == "succeeded"

    done: set[tuple[str, str]] = set()
    for _ in range(20):
        before = len(workshop.log.lines())
        child = workshop.fork(work)
        while len(workshop.log.lines()) == before:
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.12))
        workshop.kill(child)
        assert workshop.log.count("crash") == 0
        results = workshop.check()
        started = [tuple(line[1:3]) for line in workshop.log.lines()[before:] if line[0] == "start"]
        assert not done & set(started)  # what was committed is never made again
        done = {(r.asset, str(r.config["value"])) for r in results.values()}
        assert len([work for work in started if work not in done]) <= 1  # the one that was running
    starts = [tuple(line[1:3]) for line in workshop.log.lines() if line[0] == "start"]
    assert len(done) > 20
    assert len(starts) - len(set(starts)) <= 20
    with workshop.chain(names) as factory:
        assert factory.run().unchanged
        [_, *killed] = factory.ledger.read(Run, newest=True)
        assert {run.status for run in killed} == {"succeeded", "interrupted"}  # none looks alive


def test_a_long_step_goes_on_from_its_checkpoint(workshop: Any) -> None:
    log = workshop.log

    @step(version="1")
    def long(ctx: Context) -> Any:
        found = ctx.resume()
        first = 0
        text = b""
        if found is not None:
            asset, first = found
            text = asset.read_bytes("progress")
        log.say("from", first)
        for turn in range(first, 12):
            log.say("turn", turn)
            time.sleep(0.01)
            text += b"%d " % turn
            ctx.metric("loss", 1 / (turn + 1), step=turn)
            saved = ctx.draft("asset")
            saved.write_bytes("progress", text)
            ctx.checkpoint(saved, turn + 1)
        final = ctx.draft("asset")
        final.write_bytes("result", text)
        return final

    def work() -> None:
        with workshop.factory().add(long) as factory:
            factory.run()

    for kills in range(3):
        child = workshop.fork(work)
        workshop.log.wait_for("from", times=kills + 1)
        workshop.log.wait_for("turn", 3 * (kills + 1))
        workshop.kill(child)
    work()
    turns = [int(line[1]) for line in log.lines() if line[0] == "turn"]
    assert sorted(set(turns)) == list(range(12))
    assert len(turns) - 12 <= 3  # each kill repeats at most the turn that was running
    with workshop.factory().add(long) as factory:
        assert factory.asset("long").read_bytes("result") == b"0 1 2 3 4 5 6 7 8 9 10 11 "
        assert factory.ledger.read(Partial) == []
        from tenfold.core.facts import Metric

        points = [m.step for m in factory.ledger.read(Metric, asset="long", name="loss")]
        assert sorted(points) == list(range(12))  # every point once, whoever recorded it


def test_the_lease_of_a_dead_process_is_taken_over_at_once(workshop: Any) -> None:
    def work() -> None:
        with workshop.chain("a", delay_s=60) as factory:
            factory.run()

    child = workshop.fork(work)
    workshop.log.wait_for("start", "a")
    workshop.kill(child)
    events: list[Progress] = []
    with workshop.chain("a") as factory:
        outcome = factory.run(on_event=events.append)
        assert outcome["a"].status == "ran"
        assert [e for e in events if e.note] == []  # nobody was waited for
        killed = factory.ledger.read(Run)[0]
        assert killed.status == "interrupted"
        assert killed.error == "its process died"
        [row] = factory.ledger.read(RunStep, run_id=killed.id)
        assert (row.status, row.error) == ("failed", "its process died")


def test_living_processes_never_make_the_same_asset_at_once(workshop: Any) -> None:
    gate = workshop.folder / "gate"

    def work() -> None:
        with workshop.chain("abc", delay_s=0.1) as factory:
            factory.ledger  # noqa: B018  open before the race
            while not gate.exists():
                time.sleep(0.002)
            assert factory.run().status == "succeeded"

    children = [workshop.fork(work) for _ in range(3)]
    gate.touch()
    assert [workshop.join(child) for child in children] == [0, 0, 0]
    assert [workshop.log.count("start", name) for name in "abc"] == [1, 1, 1]
    workshop.check()


def test_ctrl_c_marks_the_run_and_the_next_goes_on(workshop: Any) -> None:
    log = workshop.log

    @step(version="1")
    def patient(a: Any, ctx: Context) -> Any:
        log.say("start", "patient")
        for turn in range(10_000):
            time.sleep(0.01)
            ctx.progress(turn, 10_000)
        return {}

    def work() -> None:
        with (
            workshop.chain("a")
            .add(patient, needs=["a"])
            .add(workshop.step("last"), name="last", needs=["patient"]) as factory
        ):
            factory.run()

    child = workshop.fork(work)
    log.wait_for("start", "patient")
    os.kill(child, signal.SIGINT)
    assert workshop.join(child) == 130
    with workshop.chain("a") as factory:
        [run] = factory.ledger.read(Run)
        assert (run.status, run.error) == ("interrupted", "interrupted")
        rows = {row.asset: row for row in factory.ledger.read(RunStep, run_id=run.id)}
        assert rows["a"].status == "ran"
        assert (rows["patient"].status, rows["patient"].error) == ("failed", "interrupted")
        assert rows["last"].status == "blocked"
        assert factory.run().unchanged  # what was done is kept, and no lease is left behind
        with factory.ledger.transaction(write=False) as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT COUNT(*) FROM leases")
            assert cursor.fetchone()[0] == 0
    assert list((Path(workshop.folder) / ".tenfold" / "staging").iterdir()) == []
