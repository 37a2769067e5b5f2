"""Streams through the gateway beside the same streams directly: frames lost or late, time to the first.

Direct rounds and rounds through the gateway alternate; what the upstream and the client do badly by
themselves is in both.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import harness
from gateway_process import Server
from gateway_stage import Stage
from gateway_stream_client import request
from gateway_upstream import FRAME
from harness import Figure, Figures, Unavailable, spread

STREAMS = 512
RATE = 48
"""Frames a second in each stream."""
YARDSTICKS = ("vllm-router", "smg")
"""Routers in Rust, measured the same way: what two more hops cost on this machine whoever makes them."""
CLIENT = Path(__file__).parent / "gateway_stream_client.py"


@dataclass(frozen=True, slots=True)
class Round:
    sent: int
    """Frames that should have come."""
    delays_us: list[float]
    """Of those that came, sorted."""
    failed: int
    """Streams that did not begin with a 200."""
    cpu_us: float
    """Of the server, per frame."""


@contextlib.contextmanager
def streaming(
    stage: Stage, server: Server, streams: int, frames: int, out: Path
) -> Iterator[subprocess.Popen[str]]:
    """A client with that many streams under way, as long as they last."""
    order = {
        "url": server.url, "key": server.key, "model": server.model, "streams": streams,
        "frames": frames, "rate": RATE, "first": stage.questions(streams), "out": str(out),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, CLIENT, json.dumps(order)], stdout=subprocess.PIPE, text=True,
        env=harness.environment(),
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run(stage: Stage, server: Server, streams: int, frames: int) -> Round:
    """All streams from their beginning to their end. Raises RuntimeError when the client breaks."""
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        out = Path(folder) / "delays"
        before_s = server.cpu_s()
        with streaming(stage, server, streams, frames, out) as process:
            said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the stream client ended with {process.returncode}")
        told = json.loads(said)
        used_s = server.cpu_s() - before_s
        delays = array("q")
        delays.frombytes(out.read_bytes())
    return Round(
        streams * frames, sorted(ns / 1e3 for ns in delays), told["failed"],
        used_s / max(1, told["frames"]) * 1e6,
    )  # fmt: skip


def frames_lost(stage: Stage, quick: bool) -> Figures:
    rounds, seconds = (1, 1) if quick else (3, 15)
    direct: list[Round] = []
    through: list[Round] = []
    ours = stage.ours()
    with stage.alone(ours):
        for _ in range(rounds):
            direct.append(run(stage, stage.upstream, STREAMS, RATE * seconds))
            through.append(run(stage, ours, STREAMS, RATE * seconds))
            ours.rest()
    own_us = max(found.delays_us[-1] for found in direct)
    limit_us = own_us + 1e6 / RATE
    lost = [found.sent - len(found.delays_us) for found in through]
    late = [sum(delay > limit_us for delay in found.delays_us) for found in through]
    bad = [a + b for a, b in zip(lost, late, strict=True)]
    sent = through[0].sent
    how = f"{STREAMS} streams of {RATE} frames/s for {seconds} s, {rounds} rounds, direct ones between"
    if quick:
        how = f"SHORTENED: {how}"
    failed = sum(found.failed for found in through)
    yield "stream_frames_lost", Figure(
        value=sum(bad), unit="frames", n=sum(found.sent for found in through), low=min(bad), high=max(bad),
        peer="the upstream directly",
        method=f"frames that did not come ({sum(lost)}; {failed} streams refused) or came later than the worst "
        f"frame of the direct rounds ({own_us / 1e3:.1f} ms after it was written) and one frame's time "
        f"({1e3 / RATE:.1f} ms), of all {rounds * sent}; the range is that of the rounds; {how}. Ours: {ours.on}",
    )  # fmt: skip
    stricter = sum(sum(delay > own_us for delay in found.delays_us) for found in through)
    yield "stream_frames_lost.later_than_direct", Figure(
        value=stricter, unit="frames", n=rounds * sent,
        method="frames through the gateway later than the very worst direct one, without the allowance",
    )  # fmt: skip
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        for where, found in (("", through), (".direct", direct)):
            if all(one.delays_us for one in found):
                yield f"stream_frame_delay_{name}_us{where}", spread(
                    [_quantile(one.delays_us, share) for one in found], "us",
                    f"from the upstream's write to the client, {'through the gateway' if not where else 'directly'}",
                )  # fmt: skip
    yield (
        "stream_cpu_us_per_frame",
        spread(
            [found.cpu_us for found in through],
            "us",
            f"CPU time of the gateway per frame; {how}",
            take=min,
        ),
    )


def added_ttft(stage: Stage, quick: bool) -> Figures:
    pairs = 100 if quick else 2000
    ours = stage.ours()
    with stage.alone(ours):
        yield "added_ttft_p50_us", _added(stage, ours, pairs, "nothing else under way")
    for name in YARDSTICKS:
        with contextlib.suppress(Unavailable):
            peer = stage.peer(name)
            with stage.alone(peer):
                key = f"added_ttft_p50_us.{name.replace('-', '_')}"
                yield key, _added(stage, peer, pairs // 4, "nothing else under way")
    with stage.alone(ours):
        seconds = 2 if quick else 30
        with (
            tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder,
            streaming(stage, ours, STREAMS, RATE * seconds, Path(folder) / "delays") as process,
        ):
            time.sleep(0.9 if quick else 3)
            busy = f"{STREAMS} streams of {RATE} frames/s through the gateway meanwhile"
            figure = _added(stage, ours, pairs // 4, busy)
            if process.poll() is not None:
                raise RuntimeError("the streams ended before the measurement did")
        ours.rest()
        yield "added_ttft_p50_us.at_512_streams", figure


def _added(stage: Stage, server: Server, pairs: int, beside: str) -> Figure:
    first = stage.questions(pairs + 20)
    added, bare = [], []
    with Probe(stage.upstream) as direct, Probe(server) as through:
        for number in range(pairs + 20):
            own = direct.ttft_us(first + number)
            both = through.ttft_us(first + number)
            if number >= 20:  # the first ones warm up
                added.append(both - own)
                bare.append(own)
    ordered = sorted(added)
    return Figure(
        value=statistics.median(added), unit="us", n=pairs,
        low=_quantile(ordered, 0.05), high=_quantile(ordered, 0.95), peer="the upstream directly",
        method=f"from sending a request to its first token, through the gateway minus directly, in turn on one "
        f"kept connection each; median of {pairs} pairs (direct alone: {statistics.median(bare):.0f} us), the range "
        f"is that from 5 to 95 percent; {beside}. {server.name}: {server.on}",
    )  # fmt: skip


class Probe:
    """A kept connection that asks for one short stream at a time."""

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        self._order = {
            "url": server.url, "key": server.key, "model": server.model, "frames": 1, "rate": 0,
        }  # fmt: skip
        self._socket = socket.create_connection(
            (parts.hostname or "", parts.port or 80), timeout=30
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ttft_us(self, number: int) -> float:
        """Microseconds to the first token; the rest of the stream is read too."""
        wire = request(self._order, number)
        sent_ns = time.perf_counter_ns()
        self._socket.sendall(wire)
        data = b""
        took_ns = 0
        while not data.endswith(b"0\r\n\r\n"):
            part = self._socket.recv(65536)
            if not part:
                raise RuntimeError(f"the stream broke off: {data[-300:]!r}")
            data += part
            if not took_ns and FRAME.search(data):
                took_ns = time.perf_counter_ns() - sent_ns
        if not took_ns:
            raise RuntimeError(f"no token: {data[:300]!r}")
        return took_ns / 1e3


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
