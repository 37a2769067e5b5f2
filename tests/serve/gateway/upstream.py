"""A server behind the gateway that keeps the bytes it got and says the bytes it is told to say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Part = bytes | threading.Event | None
"""Bytes to send, an event to wait for, or None: the connection breaks."""
Saying = bytes | Sequence[Part] | tuple[int, bytes]
"""A JSON body, a stream's parts, or a status and an error's body."""


@dataclass(frozen=True)
class Seen:
    path: str
    head: bytes
    body: bytes

    @property
    def plain(self) -> dict[str, Any]:
        return json.loads(self.body)


class Upstream:
    def __init__(self, models: Sequence[str] = ("m",)) -> None:
        self.models = models
        self.url = ""
        self.seen: list[Seen] = []
        """Every POST, in order."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """One per connection."""
        self.num_cancelled = 0
        """Answers whose reader left before their end."""
        self.say: Callable[[Seen, int], Saying] = lambda seen, number: b"{}"
        """What to answer, from the request and its number."""

    async def serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next(
                    (int(li[15:]) for li in lines if li.startswith(b"content-length:")), 0
                )
                body = await reader.readexactly(length)
                method, path, _ = head.split(b" ", 2)
                if method == b"GET":
                    listed = [{"id": model, "object": "model"} for model in self.models]
                    saying: Saying = json.dumps({"object": "list", "data": listed}).encode()
                else:
                    seen = Seen(path.decode(), head, body)
                    self.seen.append(seen)
                    saying = self.say(seen, len(self.seen) - 1)
                if not await self._answer(reader, writer, saying):
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.tasks.discard(task)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, saying: Saying
    ) -> bool:
        status = b"200 OK"
        if isinstance(saying, tuple):
            status, saying = b"%d Told" % saying[0], saying[1]
        gate = getattr(saying, "gate", None)
        if gate is not None and not await self._waited(reader, gate):
            return False
        if isinstance(saying, bytes):
            head = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(saying)
            writer.write(b"HTTP/1.1 %b\r\n%b%b" % (status, head, saying))
            return True
        head = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        begun = False
        for part in saying:
            if part is None:
                writer.transport.abort()
                return False
            if isinstance(part, threading.Event):
                if not await self._waited(reader, part):
                    return False
                continue
            if not begun:
                begun = True
                writer.write(b"HTTP/1.1 200 OK\r\n" + head)
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True

    async def _waited(self, reader: asyncio.StreamReader, gate: threading.Event) -> bool:
        while not gate.is_set():
            if reader.at_eof():
                self.num_cancelled += 1
                return False
            await asyncio.sleep(0.002)
        return True


class Slow(bytes):
    """A JSON body that is sent once `gate` is open."""

    gate: threading.Event

    def __new__(cls, body: bytes, gate: threading.Event) -> Slow:
        made = super().__new__(cls, body)
        made.gate = gate
        return made


@contextmanager
def running(upstream: Upstream) -> Iterator[Upstream]:
    """In a thread of its own; connections end with it."""
    ready = threading.Event()
    place: dict[str, Any] = {}

    async def main() -> None:
        place["loop"], place["end"] = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(upstream.serve_connection, "127.0.0.1", 0, backlog=1024)
        upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await place["end"].wait()
        server.close()
        open_ones = list(upstream.tasks)
        for task in open_ones:
            task.cancel()
        # A task that had not begun yet ends as cancelled: that is no fault of a test.
        await asyncio.gather(*open_ones, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield upstream
    finally:
        place["loop"].call_soon_threadsafe(place["end"].set)
        thread.join(10)


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)
