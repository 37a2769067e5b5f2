"""Executors: the same results, bounded laziness, errors as they were, deaths survived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold.data.hub.executor import Serial, executor
from tenfold.data.hub.pool import ATTEMPTS, ProcessPool
from tenfold.errors import ConfigError, InfrastructureError, StepFailed


@pytest.fixture
def deeds(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import deeds

    return deeds


@pytest.mark.parametrize("runner", [Serial(), ProcessPool(2)], ids=["serial", "pool"])
def test_every_job_comes_back_once_and_no_more_are_drawn_than_workers(runner, deeds):
    drawn = []

    def jobs():
        for n in range(20):
            drawn.append(n)
            yield n

    seen = []
    for job, result in runner.map(deeds.square, jobs()):
        seen.append((job, result))
        assert len(drawn) <= len(seen) + 2
    assert sorted(seen) == [(n, n * n) for n in range(20)]


def test_an_error_comes_through_as_it_was_raised(deeds):
    with pytest.raises(ConfigError, match="not odd") as caught:
        list(ProcessPool(2).map(deeds.refuse_odd, range(4)))
    assert caught.value.hint == "take another"
    assert "refuse_odd" in caught.value.__notes__[0]
    with pytest.raises(StepFailed, match="Stubborn: cannot travel"):
        list(ProcessPool(1).map(deeds.stubborn, [1]))


def test_a_worker_that_dies_costs_one_job_not_the_run(deeds, tmp_path):
    jobs = [(n, str(tmp_path / str(n))) for n in range(6)]
    found = dict(ProcessPool(2).map(deeds.dies_at_first, jobs))
    assert found == {job: job[0] for job in jobs}


def test_a_job_that_kills_every_worker_is_named(deeds, tmp_path):
    with pytest.raises(InfrastructureError, match=f"died {ATTEMPTS} times") as caught:
        list(ProcessPool(2).map(deeds.dies, [str(tmp_path / "count")]))
    assert caught.value.describe()["seen"] == "'SIGKILL'"
    assert len((tmp_path / "count").read_text()) == ATTEMPTS


def test_workers_leave_when_their_parent_is_killed(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import deeds\nfrom tenfold.data.hub.pool import ProcessPool\n"
        "if __name__ == '__main__':\n"
        "    for job in ProcessPool(2).map(deeds.pid_then_wait, [0.0, 0.0, 2.0, 2.0]):\n"
        "        print(job[1], flush=True)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as parent:
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while (alive := [pid for pid in pids if _runs(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_is_started_for_one_job():
    assert executor(8, 1) == Serial()
    assert executor(1, 8) == Serial()
    assert executor(4, 3) == ProcessPool(3)
    with pytest.raises(ConfigError):
        executor(0, 3)
