"""What a request's record costs: from a finished exchange to its row in SQLite, energy and counters included.

    python bench/gateway_recorder.py [--quick] [--json]

CPU of all threads of the process over batches of 5,000 events, nine in ten from a cache. As a part of the
gateway's bench it is `measure(stage, quick)`; it needs no stage.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import harness
from harness import Figures, spread
from tenfold.ledger import open_ledger
from tenfold.serve.gateway.energy import EnergyBook
from tenfold.serve.gateway.exchange import Exchange, Ids
from tenfold.serve.gateway.observed import observed
from tenfold.serve.gateway.recorder import Recorder

NUM_EVENTS = 5000
_ENDPOINT = "/v1/chat/completions"


def measure(stage: object, quick: bool) -> Figures:
    made: list[float] = []
    ended: list[float] = []
    whole: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        ledger = open_ledger(str(Path(folder) / "ledger.db"))
        recorder = Recorder(
            ledger,
            source="bench",
            max_events=10 * NUM_EVENTS,
            flush_s=3600.0,
            refresh=lambda ledger: None,
            refresh_s=3600.0,
            open_book=lambda: EnergyBook(observed(), lambda: [], "bench"),
        )
        recorder.start()
        ids = Ids()
        for _ in range(5 if quick else 30):
            began = time.thread_time()
            for _ in range(NUM_EVENTS):
                Exchange(_ENDPOINT, 1.0, 2.0)
            made.append(_us(time.thread_time() - began))
            batch = [_finished(ids, number) for number in range(NUM_EVENTS)]
            all_threads, own = time.process_time(), time.thread_time()
            for exchange in batch:
                recorder.end(exchange)
            ended.append(_us(time.thread_time() - own))
            recorder.settle(60.0)
            whole.append(_us(time.process_time() - all_threads))
        recorder.stop()
        ledger.close()
    loop = [a + b for a, b in zip(made, ended, strict=True)]
    everything = [a + b for a, b in zip(made, whole, strict=True)]
    method = f"per event, of {NUM_EVENTS} at once; the least of the rounds"
    yield "event.loop_us", spread(loop, "us CPU", f"on the event loop, {method}", take=min)
    yield "event.us", spread(everything, "us CPU", f"all threads, SQLite too, {method}", take=min)


def _finished(ids: Ids, number: int) -> Exchange:
    exchange = Exchange(_ENDPOINT, time.time(), time.monotonic())
    exchange.id = ids.next("chatcmpl-")
    exchange.tenant, exchange.key_name = "acme", "key-a"
    exchange.model, exchange.model_digest, exchange.backend = "small", "ab" * 32, "embedded"
    exchange.status, exchange.prompt_tokens, exchange.completion_tokens = 200, 20, 30
    exchange.asked = ("exact", "host")
    if number % 10:
        exchange.tier = "exact"
        exchange.cached_from = "chatcmpl-5fed40452c8b4e3000000007"
    else:
        exchange.tier, exchange.compute_s = "model", 0.01
    exchange.ended = time.monotonic()
    exchange.latency_s = exchange.ended - exchange.started
    return exchange


def _us(seconds: float) -> float:
    return seconds / NUM_EVENTS * 1e6


if __name__ == "__main__":
    about = (__doc__ or "").partition("\n")[0]
    sys.exit(harness.main("recorder", about, {"event": partial(measure, None)}))
