"""How long 1,000 unchanged steps take: in an open factory, and in a process that starts for it.

The steps stand in chains of ten, each with one small file on a real disk and a row in SQLite, so that a
skip has to look at all of them. As a script, `skip.py FOLDER` is the process that starts for it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
from harness import Figure, Figures, spread
from tenfold import Asset, Context, Draft, Factory, Table, step

NUM_STEPS = 1000
CHAIN = 10


@step(version="1", name="bench.numbered", produces=Table)
def numbered(*before: Asset, ctx: Context, number: int = 0) -> Draft:
    """One row."""
    return Table.write([{"number": number}], draft=ctx.draft(Table.kind))


def factory(folder: Path) -> Factory:
    made = Factory("skip", directory=folder)
    for number in range(NUM_STEPS):
        needs = [f"step{number - 1:04}"] if number % CHAIN else []
        made.add(numbered, name=f"step{number:04}", needs=needs, config={"number": number})
    return made


def measure(quick: bool) -> Figures:
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as name:
        folder = Path(name)
        with factory(folder) as opened:
            started_s = time.perf_counter()
            _insist(opened.run(), unchanged=False)
            built_s = time.perf_counter() - started_s
            rounds = [_round(opened) for _ in range(9)]
        yield "skip_1000_ms", spread(
            [plan + run for plan, run in rounds], "ms",
            "1,000 unchanged steps in 100 chains of ten, local disk and SQLite: plan() and then run() "
            "on an opened factory; median",
        )  # fmt: skip
        parts: list[tuple[str, Sequence[float]]] = [
            ("plan", [plan for plan, _ in rounds]),
            ("run", [run for _, run in rounds]),
        ]
        for part, values in parts:
            yield f"skip_1000_ms.{part}", spread(values, "ms", f"of it, {part}(); median")
        yield "skip_1000_process_s", spread(
            [harness.child(__file__, folder).wall_s for _ in range(3 if quick else 5)], "s",
            "a fresh process: imports, makes the factory in Python, plan() and run(); median",
        )  # fmt: skip
        yield "first_1000_s", Figure(
            value=built_s, unit="s", method="the first run of the same 1,000 steps, each made durable"
        )  # fmt: skip


def _round(opened: Factory) -> tuple[float, float]:
    """Milliseconds of plan() and of run()."""
    started_s = time.perf_counter()
    opened.plan()
    planned_s = time.perf_counter()
    outcome = opened.run()
    ended_s = time.perf_counter()
    _insist(outcome, unchanged=True)
    return (planned_s - started_s) * 1e3, (ended_s - planned_s) * 1e3


def _insist(outcome: Any, *, unchanged: bool) -> None:
    if not outcome.ok or outcome.unchanged is not unchanged:
        raise RuntimeError(f"run {outcome.run_id} {outcome.status}, unchanged={outcome.unchanged}")


if __name__ == "__main__":
    with factory(Path(sys.argv[1])) as again:
        again.plan()
        _insist(again.run(), unchanged=True)
