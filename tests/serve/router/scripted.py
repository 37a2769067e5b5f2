"""Members that behave as a test tells them to, in memory and behind real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

from tenfold.serve.backends.base import Call, ModelCard
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.fleet import Fleet
from tenfold.serve.router.router import Router


@dataclass
class Outcome:
    complete: bool = False


class Spoken:
    """An answer of given parts; a part that is an exception is raised, one that is an event is awaited."""

    stream = True

    def __init__(self, *parts) -> None:
        self.parts = list(parts)
        self.outcome = Outcome()
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        while self.parts:
            part = self.parts.pop(0)
            if isinstance(part, asyncio.Event):
                await part.wait()
            elif isinstance(part, Exception):
                raise part
            else:
                return part
        self.outcome.complete = True
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed = True


class Scripted:
    """A backend that opens what `behave` returns or raises; `behave` may be a coroutine function."""

    def __init__(self, name: str, behave: Callable | None = None, models=("m",)) -> None:
        self.name = name
        self.behave = behave or (lambda: Spoken(name.encode()))
        self.models = models
        self.opened = 0
        self.state = "new"

    async def start(self) -> None:
        self.state = "started"

    async def stop(self) -> None:
        self.state = "stopped"

    def cards(self) -> Sequence[ModelCard]:
        return [ModelCard(name=model) for model in self.models]

    def pids(self) -> Sequence[int]:
        return ()

    async def open(self, model: str):
        assert self.state == "started"
        self.opened += 1
        made = self.behave()
        return await made if isinstance(made, Awaitable) else made


async def attempt(member, card):
    if isinstance(member.backend, Scripted):
        return await member.backend.open(card.name)
    plain = {"model": card.name, "messages": []}
    call = Call("id", "/v1/chat/completions", card.name, orjson.dumps(plain), plain)
    return await member.backend.open(call)


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def routing(*backends, now=None, draw=None, **settings) -> AsyncIterator[Router]:
    """A router over backends that have started; afterwards everything must have been given back."""
    fleet = Fleet(backends, RouterConfig(**settings))
    more = {} if now is None else {"now": now}
    router = Router(fleet, draw=draw or (lambda: 0.5), **more)
    fleet.start()
    await fleet.settled()
    members = list(fleet.members)
    try:
        yield router
        assert router.waiting.num_waiting == 0
        for member in {*members, *fleet.members, *fleet.leaving}:
            assert member.outstanding == 0
            assert member.outstanding_tokens == 0
            assert member.breaker.num_probes == 0
    finally:
        await fleet.stop()


async def said(routed) -> bytes:
    return b"".join([part async for part in routed])


@dataclass
class Served:
    """A real HTTP/1.1 server on a real port; `behave` answers each request."""

    name: str
    behave: Callable[[asyncio.StreamWriter], Awaitable[None]]
    num_requests: int = 0
    num_probes: int = 0
    num_gone: int = 0
    port: int = 0
    server: asyncio.Server | None = None
    writers: set = field(default_factory=set)

    async def listing(self, writer) -> None:
        await reply(200, b'{"data": [{"id": "m"}]}')(writer)

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """As a killed process: the port refuses, open connections are reset."""
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def _serve(self, reader, writer) -> None:
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):  # what it has, or whether it is well
                    self.num_probes += 1
                    await self.listing(writer)
                    continue
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.num_requests += 1
                await self.behave(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.num_gone += 1
        finally:
            self.writers.discard(writer)
            writer.close()


@asynccontextmanager
async def listening(*servers: Served) -> AsyncIterator[None]:
    for server in servers:
        await server.listen()
    try:
        yield
    finally:
        for server in servers:
            await server.die()


def remote(served: Served) -> OpenAIBackend:
    """The gateway's own backend in front of a server."""
    base = f"http://127.0.0.1:{served.port}/v1"
    return OpenAIBackend(OpenAIConfig(base_url=base), name=served.name)


def chat(text: str) -> bytes:
    """The JSON body of an answer."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return orjson.dumps({"id": "r", "object": "chat.completion", "choices": choices})


def reply(status: int, body: bytes, *headers: bytes) -> Callable:
    wire = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        b"".join(header + b"\r\n" for header in headers),
        body,
    )

    async def behave(writer) -> None:
        writer.write(wire)
        await writer.drain()

    return behave
