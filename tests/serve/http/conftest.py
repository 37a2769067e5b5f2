"""A real server on a real port, in a thread, with handlers that tests choose by path."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from tenfold.serve.http.limits import Limits
from tenfold.serve.http.request import Request
from tenfold.serve.http.server import Server, listen, serve_on


def describe(request: Request) -> bytes:
    """What a handler saw, as text that does not depend on how it came."""
    return repr(
        (request.method, request.path, request.query, list(request.headers), request.body)
    ).encode()


def echo(request: Request) -> None:
    """Replies with what it saw."""
    request.reply(200, b"content-type: text/plain\r\n", describe(request))


class Served:
    """A server under test. `call` runs something on its event loop."""

    def __init__(self, server: Server, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.port = port
        self.loop = loop

    def connect(self, timeout_s: float = 5.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def raw(self, *sent: bytes, eof: bool = False) -> bytes:
        """Everything that comes back for these bytes until the server closes; a silence of 5 s raises."""
        with self.connect() as connection:
            for part in sent:
                connection.sendall(part)
            if eof:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def call(self, make: Callable[[], Any]) -> Any:
        async def run() -> Any:
            made = make()
            return await made if asyncio.iscoroutine(made) else made

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)


def read_all(connection: socket.socket) -> bytes:
    """Until the other side closes."""
    seen = bytearray()
    try:
        while part := connection.recv(262_144):
            seen += part
    except ConnectionResetError:
        seen += b"<reset>"
    return bytes(seen)


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_factory(request):
    return uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop


@contextmanager
def running(
    handler=echo, tls=None, refuse=None, admit_head=None, factory=uvloop.new_event_loop, **limits
) -> Iterator[Served]:
    made: dict[str, Any] = {}
    ready = threading.Event()

    async def main() -> None:
        sock = listen("127.0.0.1", 0)
        port = sock.getsockname()[1]
        server = await serve_on(
            [sock], handler, Limits(**limits), tls, refuse=refuse, admit_head=admit_head
        )
        end = asyncio.Event()
        made.update(served=Served(server, port, asyncio.get_running_loop()), end=end)
        ready.set()
        await end.wait()
        await server.cut()
        made["left"] = server.num_connections

    def run() -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    served = made["served"]
    try:
        yield served
    finally:
        served.loop.call_soon_threadsafe(made["end"].set)
        thread.join(10)
    assert not thread.is_alive()
    assert made["left"] == 0


@pytest.fixture
def serving():
    return running


@pytest.fixture(scope="module")
def echoing() -> Iterator[Served]:
    with running() as served:
        yield served
        assert served.raw(b"GET /alive HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
