"""`/metrics` and `/healthz`: what operators and their machines ask a gateway about itself."""

from __future__ import annotations

from typing import Any

import orjson

from tenfold.serve.cache.tier import Tiers
from tenfold.serve.gateway import families
from tenfold.serve.gateway.page import rendered
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.snapshot import Snapshot, Tally
from tenfold.serve.router.breaker import CLOSED
from tenfold.serve.router.fleet import Fleet


def snapshot(tiers: Tiers, fleet: Fleet, recorder: Recorder, worker: str = "0") -> Snapshot:
    """Everything this process knows in numbers. `merge` those of several workers into one page."""
    tally = Tally()
    tally.take(recorder.counted())
    _of_recorder(tally, recorder)
    tally.add(families.WORKER, 1, worker)
    tally.add(families.GENERATIONS, fleet.outstanding)
    for member in fleet.members:
        tally.add(families.READY, int(member.state == "ready"), member.name)
        tally.add(families.BREAKER, int(member.breaker.state != CLOSED), member.name)
    for tier in tiers.chain:
        tally.add(families.CACHE_ENTRIES, tier.num_entries, tier.name)
        tally.add(families.CACHE_BYTES, tier.num_bytes, tier.name)
    return tally.snapshot()


def _of_recorder(tally: Tally, recorder: Recorder) -> None:
    tally.add(families.WAITING, recorder.num_waiting)
    tally.add(families.DROPPED, recorder.num_dropped)
    tally.add(families.WRITTEN, recorder.num_written)
    tally.add(families.FAILURES, recorder.num_failed_writes)
    tally.add(families.SPOOL_BYTES, recorder.spool_bytes)
    book = recorder.book
    if book is not None:
        tally.add(families.JOULES, book.joules, "requests")
        tally.add(families.JOULES, book.idle_joules, "idle")
        tally.add(families.USD, book.usd, "requests")
        tally.add(families.USD, book.idle_usd, "idle")
        tally.add(families.ENERGY, 1, book.method)


def metrics_page(merged: Snapshot) -> bytes:
    """Prometheus text of one worker's snapshot, or of all of them merged."""
    return rendered(merged, families.FAMILIES)


def health(fleet: Fleet, state: str, trouble: str | None = None) -> tuple[int, bytes]:
    """200 while requests can be answered, 503 while starting or draining, with the reason.

    `trouble`: what keeps events from the ledger (`Recorder.trouble`). Answers go on without it.
    """
    if state == "serving" and not fleet.ready:
        state = "degraded" if fleet.cards() else "starting"
    if state == "serving" and trouble is not None:
        state = "degraded"
    body: dict[str, Any] = {
        "status": state,
        "models": [{"name": card.name, "digest": card.digest} for card in fleet.cards()],
        "backends": [
            {
                "name": member.backend.name,
                "state": member.state,
                "outstanding": member.outstanding,
            }
            for member in fleet.members
        ],
    }
    if trouble is not None:
        body["ledger"] = trouble
    return (200 if state in ("serving", "degraded") else 503), orjson.dumps(body)
