"""An executor of processes on this machine, one job in each at a time.

Processes come from a fork server, never from this process: it has Arrow's threads, and a fork of those
hangs. Each has a pipe of its own. A worker whose parent is gone reads the end of its pipe and leaves; a
parent whose worker is gone sees that at once, starts another and tries the job again.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from tenfold.data.hub.executor import J, R
from tenfold.errors import InfrastructureError, StepFailed

ATTEMPTS = 3
"""How often a job is begun before its workers' deaths are no longer taken for bad luck."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: tuple[Any, int] | None = None
    """The job it has, and which attempt this is."""


@dataclass(frozen=True, slots=True)
class ProcessPool:
    workers: int

    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[J, R]]:
        context = multiprocessing.get_context("forkserver")
        source = iter(jobs)
        team: list[_Worker] = []
        again: list[tuple[J, int]] = []
        try:
            while True:
                while len(team) < self.workers or any(worker.task is None for worker in team):
                    task = again.pop() if again else _next(source)
                    if task is None:
                        break
                    free = next((worker for worker in team if worker.task is None), None)
                    if free is None:
                        free = _begin(context, function)
                        team.append(free)
                    free.task = task
                    if not _send(free, task[0]):  # died while it had nothing to do
                        team.remove(free)
                        again.append(_retried(free))
                busy = {worker.pipe: worker for worker in team if worker.task is not None}
                if not busy:
                    if again:
                        continue
                    return
                for ready in wait(list(busy)):
                    assert isinstance(ready, Connection)
                    worker = busy[ready]
                    assert worker.task is not None
                    try:
                        good, value = ready.recv()
                    except (EOFError, ConnectionResetError):
                        team.remove(worker)
                        again.append(_retried(worker))
                        continue
                    if not good:
                        raise value
                    job, worker.task = worker.task[0], None
                    yield job, value
        finally:
            for worker in team:
                worker.pipe.close()
                if worker.task is not None:
                    worker.process.terminate()
            for worker in team:
                worker.process.join()


def _next(source: Iterator[J]) -> tuple[J, int] | None:
    for job in source:
        return job, 1
    return None


def _begin(context: Any, function: Callable[[Any], Any]) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()  # or its death would not close the pipe
    return _Worker(process, ours)


def _send(worker: _Worker, job: Any) -> bool:
    try:
        worker.pipe.send(job)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _retried(worker: _Worker) -> tuple[Any, int]:
    """The dead worker's job with the number of its next attempt. Raises when it has had enough."""
    assert worker.task is not None
    job, attempt = worker.task
    worker.pipe.close()
    worker.process.join()
    if attempt < ATTEMPTS:
        return job, attempt + 1
    code = worker.process.exitcode or 0
    killed = code == -signal.SIGKILL
    raise InfrastructureError(
        f"a worker died {ATTEMPTS} times at the same job",
        where=str(getattr(job, "label", job)),
        seen=signal.Signals(-code).name if code < 0 else f"exit status {code}",
        hint="the system kills what takes too much memory: use fewer workers or smaller segments"
        if killed
        else "look for a crash of a compiled package in the system's log",
    )


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    while True:
        try:
            job = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer: tuple[bool, Any] = True, function(job)
        except Exception as error:
            answer = False, _portable(error)
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


def _portable(error: Exception) -> Exception:
    """The error as it is where it can travel through a pipe, else its text."""
    text = "".join(traceback.format_exception(error))
    try:
        copy = ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return StepFailed(f"{type(error).__name__}: {error}", seen=text)
    copy.add_note(f"in a worker:\n{text}")
    assert isinstance(copy, Exception)
    return copy
