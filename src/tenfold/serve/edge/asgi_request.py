"""A request as the ASGI edge sees it: who may share its answer, what goes on to the origin, whose slots it fills.

It knows neither the store nor the origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from http.cookies import CookieError, SimpleCookie
from typing import Any

from tenfold.serve.edge.contract import (
    ANONYMOUS,
    MAX_KEY_BODY_BYTES,
    SLOT_COOKIE,
    SLOT_HEADER,
    SLOT_TOKEN,
    SLOTS,
    SURROGATE_CAPABILITY,
    partition_of,
    slot_header,
)
from tenfold.serve.edge.slots import decode, verify

HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade content-length".split()
)
"""Headers that speak of one connection only."""
_KEPT_BACK = HOP | frozenset(
    b"host cookie accept-encoding if-none-match if-modified-since if-match if-unmodified-since "
    b"if-range range".split()
) | {SURROGATE_CAPABILITY, SLOT_TOKEN}  # fmt: skip
"""Not sent on: by them an answer could differ between users who share it, or be only a part of it."""
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_FRESH = re.compile(rb"no-(?:store|cache)", re.IGNORECASE)


class EdgeRequest:
    """Its body is whole. `where` is what it is stored by; two requests share one only if every part of
    them that the origin answers to is the same."""

    __slots__ = ("body", "headers", "host", "method", "partition", "target", "where")

    def __init__(self, scope: Mapping[str, Any], body: bytes) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = value if name not in headers else headers[name] + b", " + value
        self.headers = headers
        self.method: bytes = scope["method"].encode("latin-1")
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        self.target = path + b"?" + query if query else path
        self.host = headers.get(b"host", b"")
        self.body = body
        self.partition = partition_of(
            headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
        )
        asked = b"GET" if self.method == b"HEAD" else self.method
        # A digest has one length, and but for the host no part can hold a space: they cannot run together.
        parts = (blake2b(body).digest(), self.partition.encode(), self.host, asked, self.target)
        self.where = blake2b(b" ".join(parts), digest_size=32).digest()

    @property
    def may_be_stored(self) -> bool:
        return (
            self.method in (b"GET", b"HEAD", b"POST")
            and len(self.body) <= MAX_KEY_BODY_BYTES
            and not _FRESH.search(self.headers.get(b"cache-control", b""))
            # A web page asking without a key: whether it may is for the origin to say, each time.
            and not (self.partition == ANONYMOUS and b"origin" in self.headers)
            and not _STREAM.search(self.body)
        )

    def head(self, etag: bytes) -> bytes:
        """The request's head for the origin; `etag`, if any, is what an old answer is checked against."""
        method = b"GET" if self.method == b"HEAD" else self.method
        lines = [b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method, self.target, self.host)]
        lines += [
            b"%b: %b\r\n" % (name, value)
            for name, value in self.headers.items()
            if name not in _KEPT_BACK and not name.startswith(SLOT_HEADER)
        ]
        lines.append(b'%b: tenfold="%b"\r\n' % (SURROGATE_CAPABILITY, SLOTS.encode()))
        if etag:
            lines.append(b"if-none-match: %b\r\n" % etag)
        return b"".join(lines)

    def values(
        self, names: Sequence[str], trusted: bool, keys: Sequence[bytes], now_s: float
    ) -> dict[str, str]:
        """Slot values: a trusted hop's headers over those of the signed token."""
        found = verify(self._token(), keys, now_s)
        if trusted:
            for name in names:
                header = self.headers.get(slot_header(name))
                value = decode(header) if header is not None else None
                if value:
                    found[name] = value
        return found

    def _token(self) -> str:
        token = self.headers.get(SLOT_TOKEN)
        if token is not None:
            return token.decode("latin-1")
        if b"cookie" not in self.headers:
            return ""
        try:
            cookies = SimpleCookie(self.headers[b"cookie"].decode("latin-1"))
        except CookieError:
            return ""
        return cookies[SLOT_COOKIE].value if SLOT_COOKIE in cookies else ""
