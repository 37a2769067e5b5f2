"""What `kill -9` costs: how many steps run again, how long going on takes, and whether the store is whole.

As a script, `crash.py FOLDER SHAPE` is the factory that gets killed: twenty steps that each write a line
into a log beside the store when they begin, so that running twice is seen by somebody else's book-keeping.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import harness
from harness import Figure, Figures, spread
from tenfold import Asset, Context, Draft, Factory, Table, step

NUM_STEPS = 20
STEP_S = 0.02
SEED = 20
"""Of the moments at which it is killed."""
READY = "ready"
_LOG = "began.log"


@step(version="1", name="bench.logged", produces=Table)
def logged(*before: Asset, ctx: Context, number: int = 0) -> Draft:
    """Say so outside the store, take a moment, make one row."""
    log = os.open(
        Path(ctx.scratch["directory"]) / _LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
    )
    try:
        os.write(log, f"{number}\n".encode())
    finally:
        os.close(log)
    time.sleep(STEP_S)
    return Table.write([{"number": number}], draft=ctx.draft(Table.kind))


def factory(folder: Path, shape: str) -> Factory:
    """`chain`: one step after the other. `wide`: all of them at once, as far as there are cores."""
    made = Factory("crash", directory=folder)
    for number in range(NUM_STEPS):
        needs = [f"step{number - 1:02}"] if shape == "chain" and number else []
        made.add(logged, name=f"step{number:02}", needs=needs, config={"number": number})
    return made


@dataclass
class Kills:
    """What became of each kill."""

    redone: list[int] = field(default_factory=list)
    resume_s: list[float] = field(default_factory=list)


def measure(quick: bool) -> Figures:
    chain = kills(8 if quick else 20, "chain")
    few = "" if not quick else "; FEWER kills than the full run's 20"
    how = (
        f"worst of {len(chain.redone)} kills -9 at random moments (seed {SEED}) of a process that runs "
        f"a chain of {NUM_STEPS} steps, each followed by a run to the end: steps whose function began "
        f"more than once, by a log of their own; after each, every blob's digest, SQLite's integrity "
        f"and that nothing is left to do were verified{few}"
    )
    yield "crash_steps_redone", spread(chain.redone, "steps", how, take=max)
    yield "crash_steps_redone.mean", Figure(
        value=sum(chain.redone) / len(chain.redone), unit="steps", n=len(chain.redone),
        method="mean of the same kills",
    )  # fmt: skip
    yield "resume_s", spread(
        chain.resume_s, "s",
        f"the run after a kill, whole process, steps of {STEP_S * 1e3:.0f} ms still to be made included; "
        "median",
    )  # fmt: skip
    if not quick:
        wide = kills(10, "wide")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        yield "crash_steps_redone.wide", spread(
            wide.redone, "steps",
            f"the same with {NUM_STEPS} independent steps, {cores} of them running at once; worst",
            take=max,
        )  # fmt: skip


def kills(wanted: int, shape: str) -> Kills:
    """Kill until it has hit `wanted` times; a process that had finished before is no kill."""
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        whole_s = _run_through(Path(folder), shape)
    found = Kills()
    for _ in range(10 * wanted):
        if len(found.redone) == wanted:
            return found
        with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as name:
            folder = Path(name)
            if not _kill(folder, shape, draw.uniform(0.0, whole_s)):
                continue
            found.resume_s.append(harness.child(__file__, folder, shape).wall_s)
            found.redone.append(_inspect(folder, shape))
    raise RuntimeError(f"only {len(found.redone)} of {wanted} kills hit a running process")


def _start(folder: Path, shape: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, __file__, str(folder), shape], stdout=subprocess.PIPE, text=True,
        env=harness.environment(), start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    if child.stdout.readline().strip() != READY:
        child.kill()
        raise RuntimeError(f"the factory to be killed did not start: {child.wait()}")
    return child


def _run_through(folder: Path, shape: str) -> float:
    """Seconds from `ready` to the end, undisturbed."""
    child = _start(folder, shape)
    started_s = time.perf_counter()
    if child.communicate() and child.returncode != 0:
        raise RuntimeError(f"the factory to be killed fails by itself: {child.returncode}")
    return time.perf_counter() - started_s


def _kill(folder: Path, shape: str, after_s: float) -> bool:
    """Start it, kill it `after_s` later. False when it had ended by then."""
    child = _start(folder, shape)
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    return child.returncode == -signal.SIGKILL


def _inspect(folder: Path, shape: str) -> int:
    """Steps that began more than once. Raises RuntimeError for anything broken, missing or unfinished."""
    began = Counter((folder / _LOG).read_text().split())
    if len(began) != NUM_STEPS:
        raise RuntimeError(f"only {len(began)} of {NUM_STEPS} steps ever began")
    with factory(folder, shape) as opened:
        for name in opened.graph.order:
            result = opened.result(name)
            if result is None:
                raise RuntimeError(f"{name} has no result after a run to the end")
            for ref in result.output.files.values():
                if not opened.blobs.verify(ref):
                    raise RuntimeError(f"a blob of {name} is not what its name says: {ref}")
        for ref, _ in opened.blobs.listing():
            if not opened.blobs.verify(ref):
                raise RuntimeError(f"the store holds a broken blob: {ref}")
        if not opened.run().unchanged:
            raise RuntimeError("a run to the end left something to do")
        database = opened.ledger_url
    with contextlib.closing(sqlite3.connect(database)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise RuntimeError(f"the ledger is damaged: {verdict}")
    return sum(1 for times in began.values() if times > 1)


if __name__ == "__main__":
    with factory(Path(sys.argv[1]), sys.argv[2]) as killed:
        print(READY, flush=True)
        sys.exit(0 if killed.run().ok else 1)
