"""A body in chunks (RFC 9112 section 7.1), read strictly and within a limit. It knows no connection.

Extensions and trailers are read and thrown away: nobody here acts on them.
"""

from __future__ import annotations

import re

from tenfold.serve.http.fault import malformed, too_large

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_MAX_LINE_BYTES = 4 * 1024
_MAX_TRAILERS_BYTES = 16 * 1024
_MAX_OVERHEAD = 16
"""Chunks of one byte cost six: more framing than this per byte of body, beyond a first allowance, is an
attack and not a body."""
_OVERHEAD_ALLOWANCE_BYTES = 64 * 1024


class Chunks:
    """Takes a body's bytes as they come."""

    __slots__ = (
        "_announced",
        "_content",
        "_framing",
        "_left",
        "_limit",
        "_rest",
        "_trailers",
    )

    def __init__(self, limit_bytes: int) -> None:
        self._announced = 0
        self._limit = limit_bytes
        self._content = bytearray()  # not a list of parts: a chunk of two bytes would cost fifty
        self._rest = b""
        self._left = -1
        """Bytes until the chunk in hand and its line end are whole; -1: a size line comes next;
        -2: trailers."""
        self._framing = 0
        self._trailers = 0

    @property
    def num_bytes(self) -> int:
        """Of the body so far. What a size line announces has not come yet."""
        return len(self._content)

    def feed(self, data: bytes) -> bytes | None:
        """None while more is to come; once the body is whole, what followed it. Raises Fault."""
        data = self._rest + data if self._rest else data
        at = 0
        while True:
            if self._left >= 0:
                at = self._chunk(data, at)
                if self._left >= 0:
                    self._rest = data[at:]
                    return None
            end = data.find(b"\r\n", at, at + _MAX_LINE_BYTES)
            if end < 0:
                self._rest = data[at:]
                if len(self._rest) >= _MAX_LINE_BYTES or b"\n" in self._rest:
                    raise malformed("A chunk's size or a trailer is too long or has no line end.")
                return None
            line, at = data[at:end], end + 2
            if self._left == -2:
                if not line:
                    return data[at:]
                self._trailer(line)
            else:
                self._size(line)

    def body(self) -> bytes:
        return bytes(self._content)

    def _chunk(self, data: bytes, at: int) -> int:
        """Takes what there is of the chunk in hand; where to go on. Its line end must be there as a whole."""
        wanted = self._left - 2
        if wanted > 0:
            part = data[at : at + wanted]
            self._content += part
            at += len(part)
            self._left -= len(part)
        if self._left == 2 and len(data) - at >= 2:
            if data[at : at + 2] != b"\r\n":
                raise malformed("A chunk is not as long as it says.")
            at += 2
            self._left = -1
        return at

    def _size(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise malformed("A chunk's size is not a number.")
        size = int(found[1], 16)
        self._announced += size
        self._framing += len(line) + 4
        if self._announced > self._limit:
            raise too_large(self._limit)
        if self._framing > _OVERHEAD_ALLOWANCE_BYTES + _MAX_OVERHEAD * self._announced:
            raise malformed("The body is more framing than content.")
        self._left = size + 2 if size else -2

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line) + 2
        if self._trailers > _MAX_TRAILERS_BYTES or not _TRAILER.fullmatch(line):
            raise malformed("A trailer is not a header, or there are too many.")
