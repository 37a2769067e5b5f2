"""Where a reader of the ledger has got to: one short string that changes when a fact is added.

Records with a `seq` are followed by it. Runs and their steps change in place and have none, so the
cursor carries a fingerprint of those of the newest runs.
"""

from __future__ import annotations

import zlib
from typing import Any

from tenfold.core.facts import (
    AliasMove,
    Event,
    LabelEvent,
    Metric,
    RequestEvent,
    Run,
    RunStep,
    Verdict,
)
from tenfold.core.ports import Ledger

FOLLOWED: tuple[type[Any], ...] = (
    Metric,
    Event,
    RequestEvent,
    Verdict,
    AliasMove,
    LabelEvent,
)


def cursor(ledger: Ledger) -> str:
    """`metric.event.request.verdict.alias.label.fingerprint`: six row numbers and eight hex digits."""
    seqs = []
    for kind in FOLLOWED:
        newest = ledger.read(kind, newest=True, limit=1)
        seqs.append(str(newest[0].seq) if newest else "0")
    runs = ledger.read(Run, newest=True, limit=4)
    mark = 0
    for run in runs:
        mark = zlib.crc32(repr((run.id, run.status, run.finished_at_s)).encode(), mark)
        if run.status == "running" or run is runs[0]:
            for step in ledger.read(RunStep, run_id=run.id):
                state = (step.asset, step.status, round(step.done, 3), step.digest, step.attempt)
                mark = zlib.crc32(repr(state).encode(), mark)
    return ".".join([*seqs, f"{mark:08x}"])


def event_seq(text: str | None) -> int | None:
    """The event row number in a cursor, None when it is not one (a stranger's header, say)."""
    parts = (text or "").split(".")
    if len(parts) != len(FOLLOWED) + 1 or not parts[1].isdigit() or len(parts[1]) > 18:
        return None
    return int(parts[1])
