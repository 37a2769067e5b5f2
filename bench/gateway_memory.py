"""Memory of a gateway's worker: after everything it does has been done at full load, and over a long soak."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gateway_load import fill, wrk
from gateway_process import Server
from gateway_stage import Stage
from gateway_streams import RATE, STREAMS, run
from harness import Figure, Figures

WARM_ENTRIES = 1000
"""Answers in the exact tier while memory is measured: the rest is the worker itself."""
SOAK_ENTRIES, SOAK_HOST_BYTES, SOAK_QUESTIONS = 2000, 32 * 2**20, 50_000
"""Room of the exact and of the host tier during the soak, and how many questions are asked: both stay full."""


def worker_rss(stage: Stage, quick: bool) -> Figures:
    seconds = 1 if quick else 20
    with stage.another() as ours, stage.alone():
        idle_mb, _ = ours.memory_mb()
        first = stage.questions(WARM_ENTRIES)
        fill(ours, first, WARM_ENTRIES)
        with watched(ours) as seen:
            wrk(ours, seconds, first=first, distinct=WARM_ENTRIES)
            wrk(ours, seconds, first=stage.questions(10_000_000), no_store=True)
            run(stage, ours, STREAMS, RATE * seconds)
            ours.rest()
        _, anonymous_mb = ours.memory_mb()
    yield "worker_rss_mb", Figure(
        value=max(seen), unit="MB", n=len(seen), low=min(seen), high=max(seen),
        method=f"largest resident memory of a worker (10^6 bytes, each second) during {seconds} s each of exact hits "
        f"on {WARM_ENTRIES} answers, of proxied requests that are not stored, and of {STREAMS} streams, all as fast "
        f"as they go; at rest before it: {idle_mb:.1f} MB, anonymous after it: {anonymous_mb:.1f} MB. Ours: {ours.on}",
    )  # fmt: skip


def soak(stage: Stage, quick: bool) -> Figures:
    seconds = 2 if quick else 600
    with (
        stage.another(cache_entries=SOAK_ENTRIES, host_cache_bytes=SOAK_HOST_BYTES) as ours,
        stage.alone(),
    ):
        first = stage.questions(SOAK_QUESTIONS)
        with watched(ours) as seen:
            told = wrk(ours, seconds, first=first, distinct=SOAK_QUESTIONS, random=True)
            ours.rest()
        if told.failed or not ours.alive():
            raise RuntimeError(f"{told.failed} of {told.requests} requests failed during the soak")
    flat = seen[len(seen) // 5 :]
    a_minute = 60 * statistics.linear_regression(range(len(flat)), flat).slope
    how = f"{seconds} s, {told.requests} requests, {told.per_s:.0f}/s"
    if quick:
        how = f"SHORTENED, the start dominates, NOT comparable: {how}"
    yield "soak_rss_mb_per_min", Figure(
        value=a_minute, unit="MB/min", n=len(flat), low=min(flat), high=max(flat),
        method=f"slope of a worker's resident memory (each second, without the first fifth; the range is that of the "
        f"memory in MB) under a closed loop of {SOAK_QUESTIONS} questions in random order with room for "
        f"{SOAK_ENTRIES} answers in the process and {SOAK_HOST_BYTES / 2**20:.0f} MiB on the host, so that hits, misses and evictions mix, none failed; {how}. Ours: {ours.on}",
    )  # fmt: skip


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """Resident megabytes of the server's largest process, taken each second."""
    seen = [server.memory_mb()[0]]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1):
            seen.append(server.memory_mb()[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        seen.append(server.memory_mb()[0])
