"""A connection to Redis or Valkey: RESP2 on asyncio.Protocol, pipelined, with a short patience.

Measured at a third (one caller) to a seventh (32 callers) of redis-py's CPU per command, and this is the
request path. When the server is away every call says None at once, and a task keeps trying to come back; both
are said once. It knows commands as byte strings and nothing of what they are for. The password is in no
message: servers are named host:port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tenfold.errors import ConfigError

log = logging.getLogger("tenfold.cache")

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_WAITING = 10_000
MAX_UNSENT_BYTES = 16 * 1024 * 1024
STRIKES = 3
"""Calls in a row that went unanswered before the server counts as away."""
GRACE_S = 0.002
"""After a deadline: our own loop may have been busy while the answer lay there."""

Reply = bytes | int | list[Any] | None


class Refused(Exception):
    """The server's own error: its first word says which (`WRONGPASS`, `OOM`)."""


def wire(*words: bytes) -> bytes:
    """A command as it travels."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


class Link:
    """One connection that comes back by itself. For one event loop."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.025,
        connect_timeout_s: float = 1.0,
        longest_wait_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`url`: `redis://[user]:password@host:port/db`, `rediss://` with TLS, or `unix:///path?db=0`.
        `timeout_s` is what a request may wait for an answer. `longest_wait_s`: between attempts to connect.

        Raises ConfigError for another kind of address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path):
            raise ConfigError(
                "not the address of a Redis server",
                seen=f"{parts.scheme}://{parts.hostname or ''}",  # the rest may hold a password
                hint="like redis://127.0.0.1:6379/0",
            )
        self._path = parts.path if parts.scheme == "unix" else None
        self._host = parts.hostname or ""
        self._port = parts.port or 6379
        self.where = self._path or f"{self._host}:{self._port}"
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "rediss" else None
        database = parse_qs(parts.query).get("db", ["0"])[0] if self._path else parts.path[1:]
        if database and not database.isdigit():
            raise ConfigError("a database of Redis is a number", seen=database, where=self.where)
        self._greeting: list[bytes] = []
        if parts.password:
            names = [unquote(parts.username)] if parts.username else []
            words = [b"AUTH", *(text.encode() for text in (*names, unquote(parts.password)))]
            self._greeting.append(wire(*words))
        if database not in ("", "0"):
            self._greeting.append(wire(b"SELECT", database.encode()))
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._longest_wait_s = longest_wait_s
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._said = False
        self.on_back: Callable[[], None] = lambda: None
        """Called after every time the connection is made."""

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def start(self) -> None:
        """Begin to connect. Returns at once, whether the server is there or not."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def call(self, command: bytes) -> Reply:
        """What the server answers, or None: it is away, slow, or out of order. Never an error."""
        connection = self._connection
        if connection is None:
            return None
        waiting = connection.ask(command)
        return None if waiting is None else await waiting

    async def calls(self, *commands: bytes) -> Sequence[Reply]:
        """Several in one round trip."""
        connection = self._connection
        if connection is None:
            return [None] * len(commands)
        asked = [connection.ask(command) for command in commands]
        return [None if waiting is None else await waiting for waiting in asked]

    def tell(self, command: bytes) -> bool:
        """Send without waiting for an answer. False: it was not sent."""
        return self._connection is not None and self._connection.tell(command)

    async def _keep(self) -> None:
        wait_s = 0.05
        while True:
            try:
                connection = await self._connect()
            except (OSError, TimeoutError, Refused) as error:
                reason = str(error) if isinstance(error, Refused) else _reason(error)
                self._say(
                    f"{self.where}: the shared tier cannot be used, going on without: {reason}"
                )
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, self._longest_wait_s)
                continue
            wait_s = 0.05
            self._lost.clear()
            connection.on_lost = self._lost.set
            self._connection = connection
            if self._said:
                self._said = False
                log.warning("%s: the shared tier is back", self.where)
            self.on_back()
            await self._lost.wait()
            self._connection = None
            connection.close()
            self._say(f"{self.where}: the shared tier went away, going on without")

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_timeout_s):
            if self._path is not None:
                _, made = await loop.create_unix_connection(
                    lambda: _Connection(self._timeout_s), self._path
                )
            else:
                _, made = await loop.create_connection(
                    lambda: _Connection(self._timeout_s), self._host, self._port, ssl=self._tls
                )
            try:
                # A PING also where there is nothing to say: it may want a password after all.
                for command in (*self._greeting, wire(b"PING")):
                    reply = await made.first(command)
                    if isinstance(reply, Refused):
                        raise reply
            except BaseException:
                made.close()
                raise
        return made

    def _say(self, text: str) -> None:
        if not self._said:
            self._said = True
            log.warning("%s", text)


class _Connection(asyncio.Protocol):
    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[Any] | None, float]] = deque()
        self._buffer = b""
        self._parts: list[bytes] = []
        """What came of a reply that is not whole yet, joined when it may be."""
        self._missing = 0
        self._timer: asyncio.TimerHandle | None = None
        self._strikes = 0
        self._greeted = False
        self._ended = False
        self.on_lost: Callable[[], None] = lambda: None

    def ask(self, command: bytes) -> asyncio.Future[Reply] | None:
        transport = self._transport
        if transport is None or len(self._waiting) >= MAX_WAITING:
            return None
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((waiter, self._loop.time() + self._timeout_s))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        transport.write(command)
        return waiter

    def tell(self, command: bytes) -> bool:
        transport = self._transport
        if (
            transport is None
            or len(self._waiting) >= MAX_WAITING
            or transport.get_write_buffer_size() > MAX_UNSENT_BYTES
        ):
            return False
        self._waiting.append((None, self._loop.time() + self._timeout_s))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        transport.write(command)
        return True

    async def first(self, command: bytes) -> Reply | Refused:
        """Before anybody else speaks, and with the patience of connecting."""
        if self._transport is None:
            raise ConnectionResetError("closed at once")
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((waiter, float("inf")))
        self._transport.write(command)
        reply = await waiter
        if self._ended:
            raise ConnectionResetError("closed at once")
        self._greeted = command.startswith(b"*1\r\n$4\r\nPING")
        return reply  # type: ignore[no-any-return]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Called by the transport and the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            waiter, _ = self._waiting.popleft()
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self.on_lost()

    def data_received(self, data: bytes) -> None:
        if self._missing > len(data):  # of a long reply: look again when it is there
            self._missing -= len(data)
            self._parts.append(data)
            return
        if self._parts:
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts = []
            self._missing = 0
        at = 0
        try:
            while at < len(data):
                end, reply = _parse(data, at)
                if end > len(data):
                    if end - at > MAX_REPLY_BYTES:
                        raise ValueError
                    self._missing = end - len(data)
                    self._parts = [data[at:]]
                    return
                at = end
                self._answer(reply)
        except (ValueError, IndexError, RecursionError):  # it does not speak RESP
            self.close()

    def _answer(self, reply: Any) -> None:
        waiter, _ = self._waiting.popleft()
        self._strikes = 0
        if waiter is not None and not waiter.done():
            waiter.set_result(None if self._greeted and isinstance(reply, Refused) else reply)

    def _look(self, again: bool = False) -> None:
        """Let those go who have waited too long; the replies still come, in order."""
        self._timer = None
        if not self._waiting or self._transport is None:
            return
        now = self._loop.time()
        deadline = self._waiting[0][1]
        if deadline > now:
            self._timer = self._loop.call_at(deadline, self._look)
            return
        if not again:
            self._timer = self._loop.call_later(GRACE_S, self._look, True)
            return
        for waiter, until in self._waiting:
            if until > now:
                break
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._strikes += 1
        if self._strikes >= STRIKES:
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(self._timeout_s, self._look, True)


def _parse(data: bytes, at: int) -> tuple[int, Any]:
    """Where the reply at `at` ends, and the reply. An end beyond `data`: that much is missing at least.

    Raises ValueError for what is no RESP2.
    """
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return len(data) + 1, None
    kind = data[at]
    body = line_end + 2
    if kind == 36:  # $
        length = int(data[at + 1 : line_end])
        if length < 0:
            return body, None
        return body + length + 2, data[body : body + length]
    line = data[at + 1 : line_end]
    if kind == 43:  # +
        return body, line
    if kind == 58:  # :
        return body, int(line)
    if kind == 45:  # -
        return body, Refused(line.decode(errors="replace"))
    if kind == 42:  # *
        items = []
        for _ in range(int(line)):
            if body >= len(data):
                return len(data) + 1, None
            body, item = _parse(data, body)
            if body > len(data):
                return body, None
            items.append(item)
        return body, items
    raise ValueError(kind)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return str(error.reason)
    return getattr(error, "strerror", None) or str(error)
