"""A server: the sockets, the connections, one sweep for all their times, and an end that waits for answers.

It installs no signal handler and owns no event loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

from tenfold.errors import InfrastructureError
from tenfold.serve.http.connection import Connection
from tenfold.serve.http.head import Head, Headers
from tenfold.serve.http.limits import Limits
from tenfold.serve.http.request import Request

Handler = Callable[[Request], None]
"""Called with each whole request, on the event loop. Replies at once, or starts what will."""
Refuse = Callable[[int, str, str, str], tuple[bytes, bytes]]
"""(status, code, message, path) -> header lines and body of the answer to a request that is not one. The path
is empty where none could be read."""
AdmitHead = Callable[[str, str, Headers], int]
"""(method, path, headers) -> bytes that the body may have; a Fault raised by it is the answer. Asked once for
a head that is repeated on its connection with nothing changed but the body's length."""

_BACKLOG = 2048
_LOOK_S = 0.02
_TURNS = 100


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket; port 0 lets the machine choose. With `reuse_port` several processes may listen on
    the same one, and the kernel spreads connections. Raises InfrastructureError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise InfrastructureError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            hint="choose another port, or 0 for a free one",
        ) from None
    sock.setblocking(False)
    return sock


async def serve_on(
    sockets: Sequence[socket.socket],
    handler: Handler,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    *,
    refuse: Refuse | None = None,
    admit_head: AdmitHead | None = None,
) -> Server:
    """Accept connections on listening sockets until the server is closed. It closes them then."""
    server = Server(handler, limits or Limits(), refuse or plain_refusal, admit_head)
    await server.start(sockets, tls)
    return server


def plain_refusal(status: int, code: str, message: str, path: str) -> tuple[bytes, bytes]:
    """A refusal in plain text."""
    return b"content-type: text/plain; charset=utf-8\r\n", f"{message} ({code})\n".encode()


class Server:
    """Made by `serve_on`. For one event loop."""

    def __init__(
        self, handler: Handler, limits: Limits, refuse: Refuse, admit_head: AdmitHead | None
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.refuse = refuse
        self.now = 0.0
        """The loop's clock at the last sweep: reading it per request would cost more than it tells."""
        self.draining = False
        self.num_requests = 0
        """Handed to the handler so far."""
        self.num_accepted = 0
        """Connections so far."""
        self._admit_head = admit_head
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def start(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        self._sweep(loop)
        timeout_s = None if tls is None else self.limits.handshake_timeout_s
        for sock in sockets:
            self._listeners.append(
                await loop.create_server(
                    lambda: Connection(self),
                    sock=sock,
                    ssl=tls,
                    backlog=_BACKLOG,
                    ssl_handshake_timeout=timeout_s,
                    ssl_shutdown_timeout=timeout_s,
                )
            )

    @property
    def num_connections(self) -> int:
        return len(self._connections)

    @property
    def num_idle(self) -> int:
        """Connections without a request under way."""
        return sum(connection.idle for connection in self._connections)

    def stop_accepting(self) -> None:
        """Close the listening sockets. Answers from now on end their connections."""
        self.draining = True
        for listener in self._listeners:
            listener.close()

    def close_idle(self) -> None:
        """Close every connection that has no request under way."""
        for connection in list(self._connections):
            if connection.idle:
                connection.close()

    async def drain(self, timeout_s: float) -> int:
        """Accept nothing more, finish the answers under way for up to `timeout_s`, cut the rest. Returns how
        many connections were cut. `cut` meanwhile ends it at once."""
        self.stop_accepting()
        self.close_idle()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(_LOOK_S)
        return await self.cut()

    async def cut(self) -> int:
        """Cut every connection and end. Returns how many there were."""
        self.stop_accepting()
        left = list(self._connections)
        for connection in left:
            connection.cut()
        for _ in range(_TURNS):  # their handlers hear of it in one of the loop's next turns
            if not self._connections:
                break
            await asyncio.sleep(0)
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        return len(left)

    # What connections say.

    def joined(self, connection: Connection) -> int:
        """How many more there is room for; below 0 when there is none for it."""
        self._connections.add(connection)
        self.num_accepted += 1
        return self.limits.max_connections - len(self._connections)

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def body_limit(self, head: Head, headers: Headers) -> int:
        if self._admit_head is None:
            return self.limits.max_body_bytes
        return self._admit_head(head.method, head.path, headers)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = now = loop.time()
        for connection in list(self._connections):
            connection.sweep(now)
        self._sweeping = loop.call_later(self.limits.sweep_s, self._sweep, loop)
