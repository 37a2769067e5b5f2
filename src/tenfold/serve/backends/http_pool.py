"""Keep-alive connections to one HTTP/1.1 server: asyncio.Protocol and httptools, TLS through ssl.

Measured at 30 us of CPU per proxied request where httpx takes 882. One request is on a connection at a
time. A connection goes back into the pool only after a complete answer; anything else closes it, which is
also how work upstream is cancelled. It knows no JSON and no OpenAI.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from tenfold.errors import BackendError, ConfigError
from tenfold.serve.backends.base import Unreachable

HIGH_WATER_BYTES = 16 * 1024
_SWEEPS_PER_TIMEOUT = 8
"""How often, within one `read_timeout_s`, waiting connections are looked at. A timer per wait would cost
more than the parsing of an answer."""
MAX_HEADER_BYTES = 64 * 1024
"""Of one head; and what may come in a row that is no part of a body: unfinished lines, trailers, chunk sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    connect_timeout_s: float = 5.0
    """To open a connection, TLS included; above 0."""
    read_timeout_s: float = 120.0
    """Longest silence while waiting for an answer or its next part; above 0."""
    max_connections: int = 512
    """Open at once, 1 or more; further requests wait for one."""
    max_idle_s: float = 30.0
    """An idle connection older than this is not used again; servers close theirs silently."""

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "read_timeout_s", "max_connections"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))


Sink = Callable[[bytes], bool]
"""Takes a part of a body; True: no more for now."""


class ClosedEarly(Unreachable):
    """A kept connection was closed by the other side before a byte of the answer came."""


class Pool:
    """Connections to the server of one base URL. For one event loop."""

    def __init__(
        self, base_url: str, config: PoolConfig, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls` None: the system's certificates, for https. Raises ConfigError for another scheme."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "not the address of an HTTP server",
                seen=f"{parts.scheme}://{parts.hostname or ''}",  # there may be a password in the rest
                hint="like http://127.0.0.1:8000/v1",
            )
        self.where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._config = config
        self._idle: deque[_Connection] = deque()
        self._waiting: set[_Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._open = asyncio.Semaphore(config.max_connections)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._host_header = (host + (f":{parts.port}" if parts.port else "")).encode()

    def head(self, method: bytes, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The part of a request's head that is the same every time, for `request`."""
        lines = [b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method, path, self._host_header)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        return b"".join(lines)

    async def request(
        self, head: bytes, more: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Response:
        """The head of the answer; read its body with `async for` and close it. Raises BackendError.

        A kept connection that turns out to be closed is replaced once: nothing had been answered on it.
        """
        if more:
            head = b"".join([head, *(b"%b: %b\r\n" % header for header in more)])
        wire = (
            b"%b\r\n" % head
            if body is None
            else b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        )
        await self._open.acquire()
        connection: _Connection | None = None
        try:
            connection, kept = await self._connection()
            try:
                await self._exchange(connection, wire)
            except ClosedEarly:
                if not kept:
                    raise
                connection.abort()
                connection = await self._connect()
                await self._exchange(connection, wire)
        except BaseException:
            if connection is not None:
                connection.abort()
            self._open.release()
            raise
        return Response(self, connection)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._idle:
            self._idle.pop().abort()

    async def _exchange(self, connection: _Connection, wire: bytes) -> None:
        connection.send(wire)
        self._watch(connection)
        try:
            await connection.head()
        finally:
            self._waiting.discard(connection)

    async def _part(self, connection: _Connection) -> bytes:
        self._watch(connection)
        try:
            return await connection.part()
        finally:
            self._waiting.discard(connection)

    async def _poured(self, connection: _Connection, sink: Sink) -> bool:
        """Whether `sink` goes on: the body ended, or its server fell silent (which `ready` tells)."""
        self._watch(connection)
        try:
            return await connection.poured(sink)
        finally:
            self._waiting.discard(connection)

    def _watch(self, connection: _Connection) -> None:
        """See to it that a silent server is noticed, at most an eighth of the timeout late."""
        connection.waiting_for = 0
        self._waiting.add(connection)
        if self._sweep is None:
            self._later()

    def _later(self) -> None:
        wait_s = self._config.read_timeout_s / _SWEEPS_PER_TIMEOUT
        self._sweep = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _look(self) -> None:
        self._sweep = None
        for connection in list(self._waiting):
            connection.waiting_for += 1
            if connection.waiting_for > _SWEEPS_PER_TIMEOUT:
                connection.give_up(
                    Unreachable(
                        f"the server was silent for {self._config.read_timeout_s:g} s",
                        where=self.where,
                    )
                )
        if self._waiting:
            self._later()

    async def _connection(self) -> tuple[_Connection, bool]:
        """One to use, and whether it was kept from before. The youngest first: it is likeliest alive."""
        oldest = time.monotonic() - self._config.max_idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection, True
            connection.abort()
        return await self._connect(), False

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                _, made = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self.where), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise Unreachable(
                f"no connection within {self._config.connect_timeout_s:g} s", where=self.where
            ) from None
        except OSError as error:  # ssl errors are OSErrors too
            reason = getattr(error, "reason", None) or error.strerror or str(error)
            raise Unreachable(f"cannot connect: {reason}", where=self.where) from None
        return made

    def _done(self, connection: _Connection) -> None:
        self._open.release()
        if connection.complete and connection.keep:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()


class Response:
    """An answer: its head is there, its body comes. Always close it."""

    def __init__(self, pool: Pool, connection: _Connection) -> None:
        self._pool = pool
        self._connection: _Connection | None = connection
        self.status = connection.status
        self.headers = connection.headers

    def __aiter__(self) -> Response:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        # Without a wait there is no timer: most parts are here before they are asked for.
        part = connection.ready()
        if part is None:
            part = await self._pool._part(connection)
        if not part:
            self.close()
            raise StopAsyncIteration
        return part

    async def pour(self, sink: Sink) -> bool:
        """Hand every part to `sink` in the callback that brought it: a frame of a stream then costs no task
        switch. Returns False when `sink` said to stop, True at the end of the body.

        Raises BackendError, and whatever `sink` raises.
        """
        connection = self._connection
        while connection is not None:
            part = connection.ready()
            if part is None:
                if not await self._pool._poured(connection, sink):
                    return False
            elif not part:
                self.close()
                return True
            elif sink(part):
                return False
        return True

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BackendError when it is longer than `limit_bytes`."""
        connection = self._connection
        if connection is not None and connection.complete:  # most bodies come with their head
            body = connection.ready() or b""
            if len(body) <= limit_bytes:
                self.close()
                return body
            raise self._too_long(limit_bytes)
        parts = []
        num_bytes = 0
        async for part in self:
            parts.append(part)
            num_bytes += len(part)
            if num_bytes > limit_bytes:
                raise self._too_long(limit_bytes)
        return b"".join(parts)

    def _too_long(self, limit_bytes: int) -> BackendError:
        return BackendError(
            f"the answer is longer than {limit_bytes:,} bytes", where=self._pool.where
        )

    async def drained(self, timeout_s: float) -> None:
        """Wait for the end of a body that has nothing more to say, but not for long."""
        connection = self._connection
        if connection is not None and not connection.complete:
            with contextlib.suppress(BackendError, TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while await connection.part():
                        pass

    def close(self) -> None:
        """Give the connection back, or end it when the answer is not complete."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool._done(connection)


class _Connection(asyncio.Protocol):
    def __init__(self, where: str) -> None:
        self._where = where
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        self.waiting_for = 0
        """How many sweeps of the pool found this connection waiting for the same thing."""
        self._lost = False
        self._resting = False
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._parts: deque[bytes] = deque()
        self._num_bytes = 0
        self._num_header_bytes = 0
        self._num_idle_bytes = 0
        self._paused = False
        self._begun = False
        self._have_head = False
        self._error: BackendError | None = None
        self._sink: Sink | None = None
        self._sink_error: Exception | None = None
        self._until_close = False
        self.complete = False
        self.keep = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    # Used by the pool.

    @property
    def usable(self) -> bool:
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    def send(self, wire: bytes) -> None:
        if self._transport is None or not self.usable:
            raise ClosedEarly("the connection was closed", where=self._where)
        self._resting = False
        self._transport.write(wire)

    async def head(self) -> None:
        while not self._have_head:
            self._check()
            await self._wait()

    def ready(self) -> bytes | None:
        """What has come of the body; `b""` at its end, None when it must be waited for."""
        if self._parts:
            part = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._num_bytes = 0
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            return part
        return b"" if self.complete else None

    async def part(self) -> bytes:
        while (part := self.ready()) is None:
            self._check()
            await self._wait()
        return part

    async def poured(self, sink: Sink) -> bool:
        """Parts go to `sink` as they come, until it wants no more (False) or the body ends (True)."""
        self._sink = sink
        try:
            while self._sink is not None and not self.complete:
                self._check()
                await self._wait()
        finally:
            stopped, self._sink = self._sink is None, None
        if self._sink_error is not None:
            error, self._sink_error = self._sink_error, None
            raise error
        return not stopped

    def rest(self) -> None:
        self.idle_since = time.monotonic()
        self._reset()
        self._resting = True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def give_up(self, error: BackendError) -> None:
        self._error = error
        self.keep = False
        self.abort()
        self._wake()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._lost:
            kind = BackendError if self._begun else ClosedEarly
            raise kind(
                "the server closed the connection before its answer was complete", where=self._where
            )

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._resting:  # nobody asked: taken for the next answer it would reach the wrong client
            self._fail("the server spoke out of turn")
            return
        self._begun = True
        before = self._num_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the server wants to speak another protocol")
        except (httptools.HttpParserError, BackendError) as error:
            self._fail(f"the server does not speak HTTP/1.1: {error}")
        if self._num_bytes > before or self.complete:
            self._num_idle_bytes = 0
        else:
            self._num_idle_bytes += len(data)
            if self._num_idle_bytes > MAX_HEADER_BYTES:  # the parser would hold all of it
                self._fail("the server sends a line without an end")
        if self._sink is not None and self._parts:
            self.waiting_for = 0
            if self._sunk() and not self.complete and self._error is None:
                return  # nobody needs to wake up for this
        elif (
            self._num_bytes > HIGH_WATER_BYTES and not self._paused and self._transport is not None
        ):
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _sunk(self) -> bool:
        """Whether the sink took what came and wants more."""
        assert self._sink is not None
        part = self.ready()
        try:
            if part and self._sink(part):
                self._sink = None
        except Exception as error:
            self._sink_error, self._sink = error, None
        return self._sink is not None

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if self._have_head and self._until_close and error is None and self._error is None:
            self.complete = (
                True  # HTTP/1.0 manners: the end of the connection is the end of the body
            )
        self._wake()

    def _fail(self, fact: str) -> None:
        self.give_up(BackendError(fact, where=self._where))

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            raise BackendError("there is more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._num_header_bytes += len(name) + len(value)
        if self._num_header_bytes > MAX_HEADER_BYTES:
            raise BackendError("the head of the answer is endless")
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:  # 100 Continue and its like come before the answer
            return
        self._have_head = True
        self.keep = self._parser.should_keep_alive()
        self._until_close = (
            b"content-length" not in self.headers and b"transfer-encoding" not in self.headers
        )

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._num_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._have_head:
            self.complete = True
        else:
            self.headers = {}
