"""A model server that costs next to nothing: OpenAI's protocol, answers made of constants.

    python bench/gateway_upstream.py

Prints `{"url"}` and serves until killed. A whole answer comes at once; a stream's frames carry their number
and the monotonic nanosecond at which they were written, so that a client on the same machine knows how late
each is. The prompt may ask for a shape: `#FRAMESxRATE/DELAY_MS#`, RATE 0 for all at once. `GET /count` tells
how many generations were asked for. It knows no gateway.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from typing import Any

import httptools
import uvloop

MODEL = "mock"
FRAME = re.compile(rb"#(\d{6}):(\d{19});")
"""Number and nanosecond in a frame's text."""
_SHAPE = re.compile(rb"#(\d+)x(\d+)/(\d+)#")
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_PHASES = 16
"""Streams of one rate are written in so many groups, evenly apart, so that no burst makes its own delay."""


def _sse(delta: bytes, finish: bytes = b"null", more: bytes = b"") -> bytes:
    return (
        b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock",'
        b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]%b}\n\n' % (delta, finish, more)
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


USAGE = b'{"prompt_tokens":48,"completion_tokens":64,"total_tokens":112}'
ANSWER = (
    b'{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}],"usage":%b}'
    % (b"The standard library has a module for it; see its reference. " * 5, USAGE)
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(ANSWER), ANSWER)
)  # fmt: skip
BEGIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + _chunk(_sse(b'{"role":"assistant","content":""}'))
)
_BEFORE, _, _AFTER = _sse(b'{"content":"word#NN "}').partition(b"#NN")
_SIZE = len(_BEFORE) + len(_AFTER) + len("#000000:0000000000000000000;")
_FRAME_HEAD, _FRAME_TAIL = b"%x\r\n%b" % (_SIZE, _BEFORE), _AFTER + b"\r\n"
_NO_USAGE = b"data: [DONE]\n\n"
_WITH_USAGE = (
    b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock",'
    b'"choices":[],"usage":%b}\n\n' % USAGE
)
END = _chunk(_sse(b"{}", b'"stop"')) + _chunk(_NO_USAGE) + b"0\r\n\r\n"
END_WITH_USAGE = (
    _chunk(_sse(b"{}", b'"stop"')) + _chunk(_WITH_USAGE) + _chunk(_NO_USAGE) + b"0\r\n\r\n"
)
CARDS = json.dumps(
    {
        "object": "list",
        "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}],
    }
).encode()


class Stream:
    """The rest of one answer, a frame at each tick of its group."""

    def __init__(self, transport: asyncio.Transport, frames: int, end: bytes) -> None:
        self.transport = transport
        self._number = 0
        self._frames = frames
        self._end = end

    def frame(self) -> bool:
        """Write the next one. False: it was the last, or nobody is there any more."""
        if self.transport.is_closing():
            return False
        data = b"%b#%06d:%019d;%b" % (
            _FRAME_HEAD, self._number, time.monotonic_ns(), _FRAME_TAIL,
        )  # fmt: skip
        self._number += 1
        if self._number >= self._frames:
            self.transport.write(data + self._end)
            return False
        self.transport.write(data)
        return True


class Group:
    """Streams that are written in the same instants."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._interval_s = interval_s
        self._due_s = 0.0
        self.streams: list[Stream] = []

    def add(self, stream: Stream, first_s: float) -> None:
        self.streams.append(stream)
        if len(self.streams) == 1:
            self._due_s = first_s
            self._loop.call_at(first_s, self._tick)

    def _tick(self) -> None:
        self.streams = [stream for stream in self.streams if stream.frame()]
        if self.streams:
            self._due_s += self._interval_s
            self._loop.call_at(self._due_s, self._tick)


class Upstream:
    """What all connections share."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.num_generations = 0
        self._groups: dict[int, list[Group]] = {}

    def begin(self, stream: Stream, rate: int) -> None:
        if not rate:
            while stream.frame():
                pass
            return
        if stream.frame():
            groups = self._groups.setdefault(
                rate, [Group(self.loop, 1 / rate) for _ in range(_PHASES)]
            )
            phase = min(range(_PHASES), key=lambda number: len(groups[number].streams))
            # On the common clock of this rate, so that groups stay apart whenever they begin.
            turn = int(self.loop.time() * rate) + 1
            groups[phase].add(stream, (turn + 1 + phase / _PHASES) / rate)


class Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._body.clear()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_method() != b"POST":
            self._transport.write(self._get())
            return
        body = b"".join(self._body)
        self._upstream.num_generations += 1
        shape = _SHAPE.search(body)
        frames, rate, delay_ms = map(int, shape.groups()) if shape else (1, 0, 0)
        streamed = _STREAM.search(body) is not None
        if delay_ms:
            self._upstream.loop.call_later(
                delay_ms / 1e3, self._answer, streamed, body, frames, rate
            )
        else:
            self._answer(streamed, body, frames, rate)

    def _answer(self, streamed: bool, body: bytes, frames: int, rate: int) -> None:
        if self._transport.is_closing():
            return
        if not streamed:
            self._transport.write(WHOLE)
            return
        self._transport.write(BEGIN)
        end = END_WITH_USAGE if b"include_usage" in body else END
        self._upstream.begin(Stream(self._transport, frames, end), rate)

    def _get(self) -> bytes:
        if self._url == b"/count":
            body = json.dumps({"generations": self._upstream.num_generations}).encode()
        else:
            body = CARDS if self._url.endswith(b"/models") else b"{}"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return head % len(body) + body


async def serve() -> None:
    loop = asyncio.get_running_loop()
    upstream = Upstream(loop)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    server = await loop.create_server(lambda: Connection(upstream), sock=sock, backlog=4096)
    print(json.dumps({"url": f"http://127.0.0.1:{sock.getsockname()[1]}"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
