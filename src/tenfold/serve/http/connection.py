"""One connection: finds requests in bytes, hands each to the handler, and goes on when it is answered.

The handler runs inside `data_received`: an answer that is known at once is written without a task, a future
or a timer. One request is under way at a time; what a client sends meanwhile waits, within a bound. It
knows no route, and what a refusal says is its server's matter.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from tenfold.serve.http.chunked import Chunks
from tenfold.serve.http.fault import Fault, too_large
from tenfold.serve.http.head import Head, Headers, Known, read_head, target_too_long
from tenfold.serve.http.request import Request
from tenfold.serve.http.status import STATUS_LINES

if TYPE_CHECKING:
    from tenfold.serve.http.server import Server

log = logging.getLogger("tenfold.http")

_NEW, _IDLE, _HEAD, _BODY, _ANSWER, _LINGER, _CLOSING = range(7)
_HIGH_WATER_BYTES = 16 * 1024
_MAX_KNOWN_BYTES = 8 * 1024
_MAX_MISSES = 8
_MAX_A_TURN = 64
"""Requests that one client's packet may have answered before other connections get their turn."""


class Connection(asyncio.Protocol):
    """Made by a `Server`, for one client."""

    __slots__ = (
        "_at",
        "_body",
        "_buffer",
        "_chunks",
        "_head",
        "_headers",
        "_known",
        "_looping",
        "_num_bytes",
        "_num_misses",
        "_paused",
        "_phase",
        "_request",
        "_since",
        "_transport",
        "_unsent",
        "_waiter",
        "_wanted",
        "blocked",
        "encrypted",
        "local",
        "peer",
        "server",
        "write",
    )

    def __init__(self, server: Server) -> None:
        self.server = server
        self.blocked = False
        """The client takes its answer more slowly than it is written."""
        self.peer: tuple[str, int] | None = None
        self.local: tuple[str, int] | None = None
        self.encrypted = False
        self._phase = _NEW
        self._since = server.now
        self._buffer = b""
        self._at = 0  # what comes before is done; above 0 only inside `_advance`
        self._known: Known | None = None
        self._head: Head | None = None
        self._headers: Headers = ()
        self._body = bytearray()
        self._num_bytes = 0
        self._num_misses = 0
        self._wanted = 0
        self._chunks: Chunks | None = None
        self._request: Request | None = None
        self._looping = False
        self._paused = False
        self._unsent = 0
        self._waiter: asyncio.Future[None] | None = None

    # What asyncio says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self.peer = _address(transport.get_extra_info("peername"))
        self.local = _address(transport.get_extra_info("sockname"))
        self.encrypted = transport.get_extra_info("sslcontext") is not None
        self._transport.set_write_buffer_limits(_HIGH_WATER_BYTES)
        room = self.server.joined(self)
        if room < -self.server.limits.max_connections:
            self.cut()  # even refusals have a bound
        elif room < 0:
            self._refuse(Fault(503, "too_many_connections", "Too many connections are open."))

    def connection_lost(self, error: Exception | None) -> None:
        self.server.left(self)
        self._abandon()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == _IDLE and not self.blocked and not self._buffer:
            known = self._known
            if known is not None and (found := known.match(data)) is not None:
                headers, length, start = found
                if len(data) - start == length <= known.limit_bytes:
                    self._num_misses = 0
                    self._answer(known.head, headers, data[start:])
                    return
        if phase == _LINGER:
            self._num_bytes += len(data)
            if self._num_bytes > self.server.limits.linger_bytes:
                self.cut()
            return
        if phase == _CLOSING:
            return
        self._buffer = self._buffer + data if self._buffer else data
        if phase == _ANSWER or self.blocked:
            self._hold()
        else:
            self._advance()

    def eof_received(self) -> None:
        """The client will send nothing more. With its answer not ready it counts as gone, as for nginx: a
        client that closed cannot be told from one that closed only its sending side. Returning None
        closes the transport, after what was written is sent."""
        self._since = self.server.now
        self._abandon()

    def pause_writing(self) -> None:
        self.blocked = True
        self._since = self.server.now

    def resume_writing(self) -> None:
        self.blocked = False
        self._wake()
        if self._phase in (_IDLE, _HEAD, _BODY):
            self._since = self.server.now
            self._advance()

    # What a request says.

    def replied(self, request: Request) -> None:
        """The answer is written; the next request may come."""
        self._request = request.on_gone = None
        if self._phase != _ANSWER:
            return
        if not request.keep_alive or self.server.draining:
            self.close()
            return
        self._phase = _IDLE
        self._since = self.server.now
        if not self._looping and (self._buffer or self._paused):
            self._advance()

    async def unblocked(self) -> None:
        """Returns when the client takes its answer again, or has left."""
        while self.blocked and self._phase != _CLOSING:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)

    def cut(self) -> None:
        """Close now; what was written may not arrive."""
        self._phase = _CLOSING
        self._transport.abort()

    def close(self) -> None:
        """Close once everything written was sent."""
        self._phase = _CLOSING
        self._since = self.server.now
        self._buffer, self._at = b"", 0
        self._transport.close()

    # What the server says.

    @property
    def idle(self) -> bool:
        """Between requests: nothing is lost when it closes."""
        return self._phase in (_NEW, _IDLE)

    def sweep(self, now: float) -> None:
        """End what took too long."""
        phase, limits, age_s = self._phase, self.server.limits, now - self._since
        late_s = limits.sweep_s  # `_since` may be this much too early
        if self.blocked or phase == _CLOSING:
            if self._stalled(now, limits.write_timeout_s + late_s):
                self.cut()
        elif phase == _IDLE:
            if age_s > limits.keep_alive_s + late_s:
                self.close()
        elif phase == _NEW:
            if age_s > limits.head_timeout_s + late_s:
                self.close()
        elif phase == _HEAD:
            if age_s > limits.head_timeout_s + late_s:
                self._refuse(
                    Fault(
                        408,
                        "head_timeout",
                        f"The request's head did not arrive within {limits.head_timeout_s:g} s.",
                    )
                )
        elif phase == _BODY:
            num_bytes = self._num_bytes if self._chunks is None else self._chunks.num_bytes
            allowed_s = limits.body_timeout_s + num_bytes / limits.min_body_bytes_per_s
            if age_s > allowed_s + late_s:
                self._refuse(
                    Fault(
                        408,
                        "body_timeout",
                        f"The request body did not arrive within {limits.body_timeout_s:g} s.",
                    )
                )
        elif phase == _LINGER and age_s > limits.linger_s + late_s:
            self.close()

    # How a request is found.

    def _advance(self) -> None:
        """Find requests in what has come, until one is under way or more must come."""
        if self._looping:
            return
        self._looping = True
        try:
            turn = self.server.num_requests + _MAX_A_TURN
            while self._at < len(self._buffer) and not self.blocked:
                phase = self._phase
                if self.server.num_requests >= turn:
                    asyncio.get_running_loop().call_soon(self._advance)  # others come first
                    break
                if phase == _BODY:
                    if not self._take():
                        break
                elif phase in (_NEW, _IDLE, _HEAD):
                    if not self._open():
                        break
                else:
                    break
        except Fault as fault:
            self._refuse(fault)
        finally:
            self._looping = False
            self._buffer, self._at = self._buffer[self._at :], 0
        if self._paused and not self.blocked and self._phase != _ANSWER:
            self._paused = False
            if self._phase != _CLOSING:
                self._transport.resume_reading()
        elif self._buffer and (self._phase == _ANSWER or self.blocked):
            self._hold()

    def _hold(self) -> None:
        if len(self._buffer) > self.server.limits.max_waiting_bytes and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _open(self) -> bool:
        """Take a head off the buffer. False: it is not whole."""
        data, at = self._buffer, self._at
        # Some clients send an empty line behind a body.
        while at < len(data) and data[at] in b"\r\n":
            at += 1
        self._at = at
        if at == len(data):
            return False
        if self._phase != _HEAD:
            self._phase = _HEAD
            self._since = self.server.now
        known = self._known
        limits = self.server.limits
        if known is not None and (found := known.match(data, at)) is not None:
            head, limit_bytes = known.head, known.limit_bytes
            headers, length, start = found
            self._num_misses = 0
        elif known is not None and (found := known.compare(data, at)) is not None:
            head = known.head
            headers, length, start = found
            if start - at > limits.max_head_bytes:
                raise self._endless(data[at:])
            limit_bytes = self.server.body_limit(head, headers)
            self._num_misses = 0
        else:
            end = data.find(b"\r\n\r\n", at, at + limits.max_head_bytes)
            if end < 0:
                if len(data) - at >= limits.max_head_bytes:
                    raise self._endless(data[at:])
                return False
            start = end + 4
            raw = data[at:start]
            head = read_head(raw, limits)
            headers, length = head.headers, head.length
            limit_bytes = self.server.body_limit(head, headers)
            self._learn(raw, head, limit_bytes)
        if length > limit_bytes:
            self._head = head
            raise too_large(limit_bytes)
        self._at = start
        if not length and not head.chunked:
            self._answer(head, headers, b"")
            return True
        if head.expects_continue and start == len(data):
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._phase = _BODY
        self._since = self.server.now
        self._head, self._headers = head, headers
        self._wanted, self._num_bytes = length, 0
        self._chunks = Chunks(limit_bytes) if head.chunked else None
        return True

    def _learn(self, raw: bytes, head: Head, limit_bytes: int) -> None:
        """Remember this head, unless those of this connection never resemble each other."""
        if self._known is not None:
            self._num_misses += 1
        self._known = None
        if (
            self._num_misses < _MAX_MISSES
            and len(raw) <= _MAX_KNOWN_BYTES
            and not head.chunked
            and not head.expects_continue
        ):
            self._known = Known(raw, head, limit_bytes)

    def _endless(self, data: bytes) -> Fault:
        limits = self.server.limits
        if b"\r\n" not in data:
            return target_too_long(limits)
        return Fault(
            431,
            "head_too_large",
            f"The request's head is larger than {limits.max_head_bytes:,} bytes.",
        )

    def _take(self) -> bool:
        """Take a body's bytes off the buffer. False: more must come."""
        data, at, head = self._buffer, self._at, self._head
        assert head is not None
        if self._chunks is not None:
            rest = self._chunks.feed(data[at:])
            self._at = len(data) - len(rest or b"")
            if rest is None:
                return False
            body, self._chunks = self._chunks.body(), None
        else:
            missing = self._wanted - self._num_bytes
            body = data[at : at + missing]
            self._at = at + len(body)
            self._num_bytes += len(body)
            if len(body) < self._wanted:  # in several parts
                self._body += body
                if self._num_bytes < self._wanted:
                    return False
                body, self._body = bytes(self._body), bytearray()
        headers, self._headers, self._head = self._headers, (), None
        self._answer(head, headers, body)
        return True

    def _answer(self, head: Head, headers: Headers, body: bytes) -> None:
        self._phase = _ANSWER
        self._request = request = Request(self, head, headers, body)
        server = self.server
        server.num_requests += 1
        try:
            server.handler(request)
        except Exception:
            log.exception("the handler of %s %s failed", request.method, request.path[:200])
            if request.begun:
                request.abort()
            else:
                request.reply(
                    500, *server.refuse(500, "internal", "The server failed on this.", request.path)
                )

    def _refuse(self, fault: Fault) -> None:
        """Say what is wrong and end. What the client still sends is read and thrown away for a while:
        closing at once would reset the connection, and it would see that instead of its answer."""
        path = "" if self._head is None else self._head.path
        head, body = self.server.refuse(fault.status, fault.code, fault.message, path)
        asked_by_head = self._head is not None and self._head.method == "HEAD"
        self._head, self._chunks, self._body = None, None, bytearray()
        self.write(
            b"%b%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (
                STATUS_LINES[fault.status],
                head,
                len(body),
                b"" if asked_by_head else body,
            )
        )
        self._phase = _LINGER
        self._since = self.server.now
        self._num_bytes = 0
        self._buffer, self._at = b"", 0
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _abandon(self) -> None:
        """The client has left, or counts as gone: nobody waits for what is under way."""
        self._phase = _CLOSING
        self._buffer, self._at = b"", 0
        self._body, self._chunks = bytearray(), None
        request, self._request = self._request, None
        if request is not None:
            try:
                request.left()
            except Exception:
                log.exception("what should happen when a client leaves failed")
        self._wake()

    def _stalled(self, now: float, limit_s: float) -> bool:
        """Whether nothing of what was written went out for this long."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._since = now
        self._unsent = unsent
        return now - self._since > limit_s

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _address(name: object) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None
