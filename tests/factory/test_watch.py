"""Watching: time, new data, drift and red checks each fire once per cause, whatever becomes of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.core.checks import Check
from tenfold.core.facts import Event, Run
from tenfold.core.step import Context, step
from tenfold.core.triggers import Due, Trigger
from tenfold.factory import Factory
from tenfold.factory.watching import FAILED, Watcher

HOUR_S = 3600.0


class SetClock:
    """A clock that hardly moves by itself: a moment per look, so that nothing happens at the same time."""

    def __init__(self, now_s: float = 1_000_000 * HOUR_S) -> None:
        self.now_s = now_s

    def now(self) -> float:
        self.now_s += 0.001
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


Watch = Callable[..., Watcher]


@pytest.fixture
def watch(clock: SetClock) -> Watch:
    def make(factory: Factory, **options: Any) -> Watcher:
        factory._clock = clock  # type: ignore[assignment]
        return Watcher(
            factory=factory.name,
            graph=factory.graph,
            triggers=factory._triggers,
            ledger=factory.ledger,
            clock=clock,
            judging=factory._judging,
            past=factory._past,
            run=lambda rebuild: factory.run(*rebuild),
            **options,
        )

    return make


def reasons(fired: list[Due]) -> list[str]:
    return [item.reason for item in fired]


def test_time(workshop: Any, clock: SetClock, watch: Watch) -> None:
    trigger = Trigger(every="30 * * * *", rebuild=("a",))
    with workshop.chain("ab").watch_for(trigger) as factory:
        watcher = watch(factory)
        assert watcher.round() == []
        clock.now_s += 1800
        assert reasons(watcher.round()) == ["time: 30 * * * *"]
        assert watcher.round() == []
        assert watch(factory).round() == []  # another watcher knows what fired
        clock.now_s += HOUR_S
        assert len(watcher.round()) == 1
        assert [run.targets for run in factory.ledger.read(Run)] == [("a",), ("a",)]
    assert workshop.log.count("start") == 1


def test_time_seen_by_a_cron_job(workshop: Any, clock: SetClock, watch: Watch) -> None:
    """`watch --once` begins anew every time; it goes by the factory's last run."""
    trigger = Trigger(every="0 3 * * *", rebuild=("a",))
    with workshop.chain("a").watch_for(trigger) as factory:
        clock.now_s = 20_000 * 24 * HOUR_S + 2 * HOUR_S  # 02:00
        factory._clock = clock  # type: ignore[assignment]
        factory.run()
        assert watch(factory, once=True).round() == []
        clock.now_s += 2 * HOUR_S
        assert len(watch(factory, once=True).round()) == 1
        clock.now_s += HOUR_S
        assert watch(factory, once=True).round() == []


def test_new_data(workshop: Any, watch: Watch) -> None:
    source = workshop.folder / "data.txt"
    source.write_text("one")

    def look(config: Any, directory: Path) -> Any:
        return (source.read_text(),)

    @step(version="1", observe=look)
    def collect(ctx: Context) -> Any:
        if source.read_text() == "bad":
            raise RuntimeError("cannot be read")
        return {"text": source.read_text()}

    trigger = Trigger(new_data_for="collect", rebuild=("collect",))
    with workshop.factory().add(collect).watch_for(trigger) as factory:
        watcher = watch(factory)
        assert reasons(watcher.round()) == ["new data for collect"]  # never built
        assert watcher.round() == []
        source.write_text("two")
        assert len(watcher.round()) == 1
        assert factory.asset("collect").content == {"text": "two"}
        source.write_text("bad")
        assert len(watcher.round()) == 1
        assert watcher.round() == []  # it failed; the same cause does not fire for ever
        source.write_text("three")
        assert len(watcher.round()) == 1
        assert watcher.round() == []


def test_drift_and_red(workshop: Any, watch: Watch) -> None:
    def factory(loss: float) -> Factory:
        made = workshop.factory()
        measured = workshop.step("quality", version=f"{loss}", loss=loss)
        made.add(measured, name="quality", checks=[Check(metric="loss", max=3)],
                 config={"value": int(loss * 100)})  # fmt: skip
        made.add(workshop.step("model"), name="model")
        made.watch_for(Trigger(drift_of="quality", metric="loss", above=0.5, rebuild=("model",)))
        return made.watch_for(Trigger(red_check_on="quality", rebuild=("model",)))

    def after(loss: float) -> list[str]:
        with factory(loss) as made:
            made.run("quality")
            found = reasons(watch(made).round())
            assert watch(made).round() == []
            return found

    assert after(1.0) == []
    assert after(1.2) == []
    assert after(2.4) == ["quality.loss moved by +100.0%"]
    assert after(4.8) == ["quality.loss moved by +100.0%", "quality is red"]
    assert after(2.0) == ["quality.loss moved by -58.3%"]


def test_a_round_that_fails_does_not_end_the_watch(
    workshop: Any, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = workshop.folder / "data.txt"

    def look(config: Any, directory: Path) -> Any:
        return source.read_text()

    @step(version="1", observe=look)
    def collect(ctx: Context) -> Any:
        return {}

    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            source.write_text("there now")
        if len(naps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.factory.watching.time.sleep", nap)
    trigger = Trigger(new_data_for="collect", rebuild=("collect",))
    with workshop.factory().add(collect).watch_for(trigger) as factory:
        fired: list[Due] = []
        with pytest.raises(KeyboardInterrupt):
            watch(factory).forever(7.0, fired.append)
        assert naps == [7.0] * 4
        assert reasons(fired) == ["new data for collect"]
        failures = factory.ledger.read(Event, event=FAILED)
        assert len(failures) == 2
        assert "could not look at its source" in failures[0].fields["fact"]
        assert factory.asset("collect")


def test_watching_once_through_the_factory(workshop: Any) -> None:
    with workshop.chain("a").watch_for(Trigger(every="* * * * *", rebuild=("a",))) as factory:
        assert reasons(factory.watch(once=True)) == ["time: * * * * *"]
