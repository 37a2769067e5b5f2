"""Real factories with real steps: in this process, and in children that can be killed."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tenfold.core.facts import Run, RunStep, StepResult
from tenfold.core.step import Context, Step, step
from tenfold.factory import Factory
from tenfold.stores.local import LocalBlobs


class SideLog:
    """What really happened, written by the steps themselves past every ledger: one line per deed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, *words: object) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
        os.close(descriptor)

    def lines(self) -> list[list[str]]:
        return (
            [line.split() for line in self.path.read_text().splitlines()]
            if self.path.exists()
            else []
        )

    def count(self, *words: object) -> int:
        return sum(line[: len(words)] == list(map(str, words)) for line in self.lines())

    def wait_for(self, *words: object, times: int = 1) -> None:
        for _ in range(6000):
            if self.count(*words) >= times:
                return
            time.sleep(0.005)
        raise AssertionError(f"{words} never happened: {self.lines()}")


@dataclass
class Workshop:
    """A folder for a factory, a side log, and steps that write it."""

    folder: Path
    log: SideLog = field(init=False)
    children: list[int] = field(default_factory=list)
    made: list[Factory] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = SideLog(self.folder / "side.log")

    def factory(self, **options: Any) -> Factory:
        made = Factory("workshop", directory=self.folder, **options)
        self.made.append(made)
        return made

    def step(
        self, name: str, *, delay_s: float = 0.0, version: str = "1", **metrics: float
    ) -> Step:
        """Takes anything, waits, says so in the side log, makes a report of its settings and inputs."""
        log = self.log

        @step(version=version, name=f"test.{name}")
        def work(*inputs: Any, ctx: Context, value: int = 0, same: bool = False) -> dict[str, Any]:
            log.say("start", name, value, os.getpid())
            time.sleep(delay_s)
            for metric, number in metrics.items():
                ctx.metric(metric, number)
            log.say("end", name, value, os.getpid())
            given = [] if same else [i.content for i in inputs]
            return {"name": name, "value": 0 if same else value, "inputs": given}

        return work

    def chain(self, names: str, *, value: int = 0, delay_s: float = 0.0) -> Factory:
        """a -> b -> c ..., one letter each."""
        factory = self.factory()
        for before, name in zip([None, *names], names, strict=False):
            factory.add(
                self.step(name, delay_s=delay_s),
                name=name,
                needs=[before] if before else [],
                config={"value": value},
            )
        return factory

    def fork(self, work: Callable[[], object]) -> int:
        """Do `work` in a child process; its id.

        Nothing of SQLite may be carried over a fork: closing an inherited connection would drop the
        locks of the child's own.
        """
        while self.made:
            self.made.pop().close()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                work()
                status = 0
            except KeyboardInterrupt:
                status = 130
            except BaseException:
                self.log.say("crash", traceback.format_exc().replace("\n", "|"))
            finally:
                os._exit(status)
        self.children.append(pid)
        return pid

    def join(self, pid: int) -> int:
        """Wait for a child; its exit code, negative for a signal."""
        self.children.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.join(pid)

    def check(self, *, collected: bool = False) -> dict[str, StepResult]:
        """Ledger and store agree: every result has all its bytes, every row that says so has a result
        (unless garbage was `collected`)."""
        with self.factory() as factory:
            results = {r.key: r for r in factory.ledger.read(StepResult)}
            assert isinstance(factory.blobs, LocalBlobs)
            for result in results.values():
                assert all(factory.blobs.verify(ref) for ref in result.output.files.values())
            assert all(factory.blobs.verify(ref) for ref, _ in factory.blobs.listing())
            for row in factory.ledger.read(RunStep, status=["ran", "skipped"]):
                assert row.key is not None
                if collected and row.key not in results:
                    continue
                assert results[row.key].output.digest == row.digest
            for run in factory.ledger.read(Run, status="succeeded"):
                rows = factory.ledger.read(RunStep, run_id=run.id)
                assert {row.status for row in rows} <= {"ran", "skipped", "blocked"}
        return results


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    for pid in list(made.children):
        made.kill(pid)
