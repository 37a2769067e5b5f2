"""A request that is whole, and its reply. It knows no route; how bytes travel is the connection's matter.

    request.reply(200, b"content-type: application/json\\r\\n", body)

or, in parts,

    request.begin(200, b"content-type: text/event-stream\\r\\n")
    request.write(part); await request.drained(); ...
    request.finish()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tenfold.serve.http.status import BODILESS, STATUS_LINES

if TYPE_CHECKING:
    from tenfold.serve.http.connection import Connection
    from tenfold.serve.http.head import Head, Headers

_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"
_JOINED_BYTES = 16 * 1024
"""A body up to this size is copied behind its head: one write costs less than the copy saves."""

_OPEN, _CHUNKED, _COUNTED, _CLOSED_BY_END, _SILENT, _DONE = range(6)


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


class Request:
    """Given to the handler once, when the body is whole. Every request must be replied to."""

    __slots__ = (
        "_connection",
        "_head",
        "_left",
        "_state",
        "body",
        "gone",
        "headers",
        "keep_alive",
        "method",
        "on_gone",
        "path",
        "query",
    )

    def __init__(self, connection: Connection, head: Head, headers: Headers, body: bytes) -> None:
        self._connection = connection
        self._head = head
        self._state = _OPEN
        self._left = 0
        self.method = head.method
        self.path = head.path
        """Percent-decoded, without the query."""
        self.query = head.query
        """As sent, without the question mark."""
        self.headers = headers
        """Names in lower case, in the order sent."""
        self.body = body
        self.keep_alive = head.persistent
        """A handler may set it to False before it replies: the connection then closes."""
        self.gone = False
        """The client left before the reply was finished. What is written now is thrown away."""
        self.on_gone: Callable[[], None] | None = None
        """Called once when the client leaves before the reply is finished. Forgotten with the reply."""

    @property
    def target(self) -> bytes:
        """Path and query as sent."""
        return self._head.target

    @property
    def version(self) -> str:
        """`1.0` or `1.1`."""
        return self._head.version

    @property
    def client(self) -> str | None:
        """The peer's address, without a port; None for a Unix socket."""
        peer = self._connection.peer
        return None if peer is None else peer[0]

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the client."""
        return self._connection.peer

    @property
    def local(self) -> tuple[str, int] | None:
        """Address and port that the client connected to."""
        return self._connection.local

    @property
    def encrypted(self) -> bool:
        return self._connection.encrypted

    @property
    def begun(self) -> bool:
        """Whether a status line was written."""
        return self._state != _OPEN

    @property
    def finished(self) -> bool:
        return self._state == _DONE

    @property
    def blocked(self) -> bool:
        """The client takes its answer more slowly than it is written."""
        return self._connection.blocked

    def header(self, name: bytes) -> bytes | None:
        """The first header of this lower-case name."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    def reply(self, status: int, head: bytes, body: bytes) -> None:
        """The whole answer. `head` is header lines, each with its line end, without content-length and
        connection. Raises RuntimeError for a request that was answered already."""
        if self._state != _OPEN:
            raise RuntimeError("this request has its answer")
        self._state = _DONE
        if self.gone:
            return
        connection = self._connection
        size = len(body)
        known = self._head
        if (
            self.keep_alive
            and known.version == "1.1"
            and known.method != "HEAD"
            and size <= _JOINED_BYTES
            and status not in BODILESS
            and not connection.server.draining
        ):
            connection.write(
                b"%b%bcontent-length: %d\r\n\r\n%b" % (STATUS_LINES[status], head, size, body)
            )
        else:
            connection.write(self._head_bytes(status, head, size))
            if size and known.method != "HEAD" and status not in BODILESS:
                connection.write(body)
        connection.replied(self)

    def begin(
        self, status: int, head: bytes, length: int | None = None, first: bytes = b""
    ) -> None:
        """The head of an answer in parts: chunked, or closed by its end for HTTP/1.0, or of a known length
        in bytes. `first`: its first part, in one packet with it where it is chunked. Raises RuntimeError for
        a request that was answered already."""
        if self._state != _OPEN:
            raise RuntimeError("this request has its answer")
        if self._head.method == "HEAD" or status in BODILESS:
            self._state = _SILENT
        elif length is not None:
            self._state, self._left = _COUNTED, length
        elif self._head.version == "1.1":
            self._state = _CHUNKED
        else:
            self._state = _CLOSED_BY_END
            self.keep_alive = False
        if self.gone:
            return
        lines = self._head_bytes(status, head, length)
        if first and self._state == _CHUNKED:
            self._connection.write(b"%b%x\r\n%b\r\n" % (lines, len(first), first))
            return
        self._connection.write(lines)
        if first:
            self.write(first)

    def write(self, part: bytes) -> None:
        """A part of the answer, sent at once. Raises RuntimeError outside `begin` and `finish`."""
        state = self._state
        if state == _CHUNKED:
            if part and not self.gone:
                self._connection.write(b"%x\r\n%b\r\n" % (len(part), part))
        elif state in (_OPEN, _DONE):
            raise RuntimeError("this answer has not begun, or is finished")
        elif state != _SILENT and part and not self.gone:
            self._left -= len(part)
            if state == _COUNTED and self._left < 0:
                raise RuntimeError("the answer is longer than it was announced")
            self._connection.write(part)

    def finish(self) -> None:
        """The end of an answer in parts. One shorter than announced cuts the connection."""
        state = self._state
        if state in (_OPEN, _DONE):
            raise RuntimeError("this answer has not begun, or is finished")
        self._state = _DONE
        if self.gone:
            return
        if state == _COUNTED and self._left:
            self._connection.cut()
            return
        if state == _CHUNKED:
            self._connection.write(b"0\r\n\r\n")
        self._connection.replied(self)

    def abort(self) -> None:
        """Cut the connection: the only way to tell a client that an answer it has in part is broken."""
        if self._state != _DONE:
            self._state = _DONE
            if not self.gone:
                self._connection.cut()

    async def drained(self) -> None:
        """Wait until the client has taken most of what was written. Raises ClientGone."""
        if self.gone:
            raise ClientGone
        if self._connection.blocked:
            await self._connection.unblocked()
            if self.gone:
                raise ClientGone

    def left(self) -> None:
        """For the connection: the client is gone."""
        self.gone = True
        told, self.on_gone = self.on_gone, None
        if told is not None and self._state != _DONE:
            told()

    def _head_bytes(self, status: int, head: bytes, length: int | None) -> bytes:
        if self._connection.server.draining:
            self.keep_alive = False
        lines = [STATUS_LINES[status], head]
        if status in (204, 304):
            pass  # they have no body, and 304 would have to tell another answer's length
        elif status == 205:
            lines.append(b"content-length: 0\r\n")
        elif length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif self._head.version == "1.1":
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(_CLOSE)
        elif self._head.version == "1.0":
            lines.append(_KEEP)
        lines.append(b"\r\n")
        return b"".join(lines)
