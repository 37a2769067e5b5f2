"""multipart/form-data (RFC 7578), read strictly from a body that is whole.

The body is in memory already and its size is bounded by the server, so nothing is written anywhere and no
part is copied: a part's content is a view of the body. Nested multiparts and transfer encodings are refused,
as browsers and API clients send neither. It knows no file and no purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenfold.serve.refusal import Refusal

MAX_PARTS = 16
MAX_PART_HEAD_BYTES = 4096
_TYPE = re.compile(
    rb'\s*multipart/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s";,]{1,70}))\s*(?:;.*)?\Z',
    re.IGNORECASE,
)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]\Z")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
_PARAMETER = re.compile(rb'\s*;\s*([A-Za-z0-9*_\-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))')


@dataclass(frozen=True, slots=True)
class FormPart:
    name: str
    filename: str | None
    """None: not a file."""
    content: memoryview


def read_form(content_type: bytes | None, body: bytes) -> list[FormPart]:
    """The parts in their order. Raises Refusal: 415 for another type of body, 400 for a broken one."""
    match = _TYPE.match(content_type or b"")
    if match is None:
        raise Refusal(
            415,
            "Send multipart/form-data with a boundary.",
            code="unsupported_content_type",
        )
    boundary = match[1] or match[2]
    if _BOUNDARY.match(boundary) is None:
        raise _broken("its boundary has characters that no boundary may have")
    opening, delimiter = b"--" + boundary, b"\r\n--" + boundary
    view = memoryview(body)
    if not body.startswith(opening):
        raise _broken("it does not begin with its boundary")
    at = len(opening)
    parts: list[FormPart] = []
    while True:
        if body.startswith(b"--", at):
            if body[at + 2 : at + 4] not in (b"", b"\r\n") or len(body) > at + 4:
                raise _broken("something stands behind its end")
            return parts
        if not body.startswith(b"\r\n", at):
            raise _broken("a boundary is not followed by a line end")
        if len(parts) == MAX_PARTS:
            raise _broken(f"it has more than {MAX_PARTS} parts")
        head_end = body.find(b"\r\n\r\n", at, at + MAX_PART_HEAD_BYTES)
        if head_end < 0:
            raise _broken("a part's head does not end")
        end = body.find(delimiter, head_end + 4)
        if end < 0:
            raise _broken("it ends within a part")
        name, filename = _head(body[at + 2 : head_end])
        parts.append(FormPart(name, filename, view[head_end + 4 : end]))
        at = end + len(delimiter)


def _head(head: bytes) -> tuple[str, str | None]:
    name: str | None = None
    filename: str | None = None
    seen: set[bytes] = set()
    for line in head.split(b"\r\n"):
        match = _FIELD.match(line)
        if match is None:
            raise _broken("a line of a part's head is not a header")
        field, value = match[1].lower(), match[2]
        if field in seen:
            raise _broken("a part's head has a header twice")
        seen.add(field)
        if field == b"content-disposition":
            name, filename = _disposition(value)
        elif field == b"content-transfer-encoding" and value.lower() not in (
            b"binary",
            b"8bit",
            b"7bit",
        ):
            raise _broken("a part has a transfer encoding")
    if name is None:
        raise _broken("a part has no name")
    return name, filename


def _disposition(value: bytes) -> tuple[str, str | None]:
    kind, _, _ = value.partition(b";")
    if kind.strip().lower() != b"form-data":
        raise _broken("a part is not form-data")
    at = len(kind)
    found: dict[bytes, bytes] = {}
    while at < len(value):
        match = _PARAMETER.match(value, at)
        if match is None:
            if value[at:].strip(b" \t;"):
                raise _broken("a part's content-disposition cannot be read")
            break
        key = match[1].lower()
        if key in found:
            raise _broken("a part's content-disposition says something twice")
        quoted = match[2]
        found[key] = match[3] if quoted is None else _unescaped(quoted)
        at = match.end()
    if b"name" not in found:
        raise _broken("a part has no name")
    filename = found.get(b"filename")
    return _text(found[b"name"]), None if filename is None else _text(filename)


def _unescaped(quoted: bytes) -> bytes:
    """As browsers write it: a quote as %22. A backslash stands for what follows only before a quote or
    another one; old browsers send whole paths."""
    return quoted.replace(b'\\"', b'"').replace(b"\\\\", b"\\").replace(b"%22", b'"')


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _broken("a name in it is not UTF-8") from None


def _broken(why: str) -> Refusal:
    return Refusal(400, f"The multipart body cannot be read: {why}.", code="invalid_multipart")
