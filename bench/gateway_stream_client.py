"""Many streams at once, as a client that only writes down what came when.

    python bench/gateway_stream_client.py ORDER

ORDER is JSON: `{"url", "key", "model", "streams", "frames", "rate", "first", "out"}`. Frames carry the
nanosecond at which the upstream wrote them; how many nanoseconds later each was here goes to the file `out`
as 64-bit integers, frames that never came do not. Prints `{"frames", "wall_s", "failed"}`. While it runs
nothing is parsed and nothing is collected, so that what is measured is not this program.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from array import array
from bisect import bisect_left
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

import uvloop

from gateway_upstream import FRAME

_PATIENCE_S = 10.0
"""How much longer than it should take is waited for the last stream."""


class Stream(asyncio.Protocol):
    """One connection with one answer, kept as it came."""

    def __init__(self, num_open: list[int], over: asyncio.Event) -> None:
        self._num_open = num_open
        self._over = over
        self.parts: list[bytes] = []
        self.arrived_ns: list[int] = []
        self._ended = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.arrived_ns.append(time.monotonic_ns())
        self.parts.append(data)
        if b"[DONE]" in data[-64:] or (
            not data.startswith(b"HTTP/1.1 200") and len(self.parts) == 1
        ):
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self.end()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._num_open[0] -= 1
            if not self._num_open[0]:
                self._over.set()

    def delays_ns(self) -> list[int]:
        """Of every frame: from its writing to the arrival of the part that completes it."""
        data = b"".join(self.parts)
        ends = list(accumulate(map(len, self.parts)))
        return [
            self.arrived_ns[bisect_left(ends, found.end())] - int(found[2])
            for found in FRAME.finditer(data)
        ]


def request(order: dict[str, Any], number: int) -> bytes:
    """A streamed chat completion that nobody has asked before, and the shape of its answer."""
    shape = f"#{order['frames']}x{order['rate']}/0#"
    content = f"Tell it at length, please: {number:012d} {shape}"
    body = json.dumps(
        {
            "model": order["model"],
            "messages": [{"role": "user", "content": content}],
            "stream": True,
            "temperature": 0,
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {urlsplit(order['url']).netloc}\r\n"
        f"authorization: Bearer {order['key']}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run(order: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    parts = urlsplit(order["url"])
    num_open, over = [order["streams"]], asyncio.Event()
    streams = []
    for _ in range(order["streams"]):
        _, stream = await loop.create_connection(
            lambda: Stream(num_open, over), parts.hostname, parts.port
        )
        streams.append(stream)
    gc.collect()
    gc.disable()
    started_s = time.monotonic()
    for number, stream in enumerate(streams):
        stream.transport.write(request(order, order["first"] + number))
        if number % 16 == 15:
            await asyncio.sleep(0.01)  # a crowd, not a single instant
    length_s = order["frames"] / order["rate"]
    with contextlib.suppress(TimeoutError):  # what has not come by then is lost
        await asyncio.wait_for(over.wait(), length_s + _PATIENCE_S)
    wall_s = time.monotonic() - started_s
    delays = array("q")
    failed = 0
    for stream in streams:
        delays.extend(stream.delays_ns())
        failed += not stream.parts or not stream.parts[0].startswith(b"HTTP/1.1 200")
        stream.transport.abort()
    with open(order["out"], "wb") as out:
        delays.tofile(out)
    return {"frames": len(delays), "wall_s": wall_s, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)
