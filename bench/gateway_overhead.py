"""What the gateway adds to a request, beside a server on the same stack that does nothing.

Three processes: the gateway with an in-memory backend that answers at once, bare uvicorn answering as many
bytes, and one client that asks them in turn, in alternating rounds.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from harness import Figures, spread

HERE = Path(__file__).parent
PATH = "/v1/chat/completions"
SETTLE_S = 1.5
"""Longer than the gateway's second between batches to the ledger: what a round caused, it also pays."""
NUM_HITS = 64
"""Different questions in a round of hits."""


class Child:
    """A process that says one JSON line for each line it is told."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=harness.environment(),
        )  # fmt: skip

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, order: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.hear()

    def end(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def child(*arguments: str) -> Iterator[Child]:
    started = Child(*arguments)
    try:
        yield started
    finally:
        started.end()


def measure(quick: bool) -> Figures:
    rounds, alone, together = (5, 300, 2000) if quick else (15, 1000, 10_000)
    server = str(HERE / "server.py")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tenfold-bench-"))
        ours = stack.enter_context(child(server, "gateway", f"{folder}/ledger.db"))
        to_ours = {**ours.hear(), "path": PATH, "first": 0, "distinct": 1, "requests": 1}
        client = stack.enter_context(child(str(HERE / "client.py")))
        num_bytes = client.ask(to_ours)["body_bytes"]
        bare = stack.enter_context(child(server, "bare", str(num_bytes)))
        to_bare = {**to_ours, **bare.hear(), "tier": ""}
        peer = f"bare uvicorn {importlib.metadata.version('uvicorn')}, uvloop and httptools, {num_bytes} bytes"

        def latency_us(order: dict[str, Any], **more: Any) -> float:
            told = {**order, "concurrency": 1, "requests": alone, **more}
            return float(client.ask(told)["latency_us"])

        def cpu_us(process: Child, order: dict[str, Any], **more: Any) -> float:
            before_s = process.ask(None)
            client.ask({**order, "concurrency": 16, "requests": together, **more})
            if process is ours:
                time.sleep(SETTLE_S)
            return (process.ask(None) - before_s) / together * 1e6

        hits = {"first": 10**7, "distinct": NUM_HITS}
        for order in (
            to_ours,
            to_bare,
        ):  # warm up, and fill the cache with the questions of the hits
            client.ask(
                {**order, **hits, "concurrency": 1, "requests": NUM_HITS}
                | {"tier": "model" if order is to_ours else ""}
            )
        missed, hit, nothing = [], [], []
        for number in range(rounds):
            fresh = {"first": 10**6 + number * alone, "distinct": alone}
            missed.append(latency_us(to_ours, **fresh, tier="model"))
            nothing.append(latency_us(to_bare, **fresh))
            hit.append(latency_us(to_ours, **hits, tier="exact"))
        how = f"{rounds} alternating rounds of {alone} requests on one kept connection, median of each"
        yield "gateway_overhead_us", spread(
            [a - b for a, b in zip(missed, nothing, strict=True)], "us",
            f"latency through the gateway (key, exact tier missed, backend that answers at once, answer "
            f"stored, event recorded) minus that of the bare server; {how}; median of the differences",
            peer=peer,
        )  # fmt: skip
        yield "gateway_hit_overhead_us", spread(
            [a - b for a, b in zip(hit, nothing, strict=True)], "us",
            "the same for answers from the exact tier", peer=peer,
        )  # fmt: skip
        yield "gateway_latency_us", spread(missed, "us", f"latency through the gateway; {how}")
        yield "bare_asgi_latency_us", spread(nothing, "us", f"latency of the bare server; {how}")
        ours_us, bare_us = [], []
        for _ in range(2 if quick else 7):
            ours_us.append(cpu_us(ours, to_ours, **hits, tier="exact"))
            bare_us.append(cpu_us(bare, to_bare, **hits))
        how = (
            f"CPU time of the server process over {together} requests at 16 connections, the gateway's "
            f"read {SETTLE_S} s later so that writing the events is in it; median of alternating rounds"
        )
        yield "gateway_hit_cpu_us", spread(
            ours_us, "us", f"per exact-cache hit: {how}", peer=peer
        )  # fmt: skip
        yield "bare_asgi_cpu_us", spread(bare_us, "us", f"per request of the bare server: {how}")
        yield "gateway_hit_cpu_ratio", spread(
            [a / b for a, b in zip(ours_us, bare_us, strict=True)], "x",
            "CPU time of a hit over that of the bare server, round by round", peer=peer,
            take=statistics.median,
        )  # fmt: skip
