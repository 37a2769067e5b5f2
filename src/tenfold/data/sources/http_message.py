"""An HTTP response as archives keep it: status, headers, and the body unpacked. Knows no archive.

Lenient where archives are: bare line feeds end header lines (fastwarc's own parser takes half a page for
headers then), and bodies may be unpacked already whatever the headers say. Bounded where they are not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from tenfold.data.sources.limits import Limits
from tenfold.data.sources.unpacking import Fault, Unpacked

_HEAD_BYTES = 1 << 18
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]{0,200}\r?\n")


@dataclass(frozen=True, slots=True)
class Message:
    status: int
    headers: Mapping[str, str]
    """Names in small letters; of two equal ones the last."""
    body: bytes


def parse(block: bytes, limits: Limits) -> Message | Fault:
    """A block that does not begin as HTTP is all body, with status 200 and no headers."""
    if not block.startswith(b"HTTP/"):
        return Message(200, {}, block)
    end = _BLANK_LINE.search(block, 0, _HEAD_BYTES)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    first, *lines = head.split(b"\n")
    parts = first.split()
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() and len(parts[1]) < 4 else 0
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _joined(body)
    coding = headers.get("content-encoding", "").lower()
    unpacked = _unpacked(body, coding, limits)
    return unpacked if isinstance(unpacked, Fault) else Message(status, headers, unpacked)


def _joined(body: bytes) -> bytes:
    """The chunks without their sizes (RFC 9112, 7.1); as it is where it was joined already."""
    pieces: list[bytes] = []
    at = 0
    while size := _CHUNK.match(body, at):
        count = int(size[1], 16)
        if count == 0:
            return b"".join(pieces)
        if size.end() + count > len(body):
            break
        pieces.append(body[size.end() : size.end() + count])
        at = size.end() + count
    return b"".join(pieces) if pieces and at == len(body) else body


def _unpacked(body: bytes, coding: str, limits: Limits) -> bytes | Fault:
    """At most `limits.record_bytes`. Headers claim packing that is undone already, so bytes decide."""
    if coding == "br" and not _looks_like_text(body):
        try:
            packed = pa.CompressedInputStream(pa.BufferReader(body), "brotli")
            data: bytes = packed.read(limits.record_bytes + 1)
        except (pa.ArrowException, OSError) as error:
            return Fault("corrupt", f"not what its packing says: {error}")
    elif coding in ("gzip", "x-gzip", "zstd"):
        stream = Unpacked(io.BytesIO(body), limits)
        data = io.BufferedReader(stream).read(limits.record_bytes + 1)
        if stream.fault is not None:
            return stream.fault
    else:
        return body
    if len(data) > limits.record_bytes:
        return Fault("bomb", f"{len(body)} bytes unpack to more than {limits.record_bytes}")
    return data


def _looks_like_text(body: bytes) -> bool:
    return body[:64].lstrip()[:1] in (b"<", b"{") or body[:64].isascii()
