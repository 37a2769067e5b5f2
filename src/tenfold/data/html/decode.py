"""Bytes of a page to UTF-8, whatever the page says about itself and however it was cut.

Order: byte order mark; valid UTF-8 (text in another encoding is hardly ever valid UTF-8 by accident, while
declarations often lie); UTF-8 with a few broken places; what the server said; what the page says; what the
bytes look like. Knows no markup beyond a declaration's.
"""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,300}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w:.-]{2,40})", re.I
)
_LOOK_BYTES = 4096
"""Declarations stand within the first 1,024 bytes (WHATWG, 13.2.3.2); real ones are often later."""
BROKEN_SHARE = 0.02
"""UTF-8 with less than this share of its foreign characters broken is UTF-8: cut, or pasted together."""


def utf8(page: bytes, encoding: str | None = None) -> tuple[bytes, str]:
    """(the page in UTF-8, the encoding it was in). `encoding`: what the server said. Never raises."""
    name: str | None
    for mark, known in _MARKS:
        if page.startswith(mark):
            if known == "utf-8":
                return _repaired(page[len(mark) :]), known
            return _decoded(page[len(mark) :], known), known
    head = page[:_LOOK_BYTES]
    if b"\0" in head and (name := _wide(head)):
        return _decoded(page, name), name
    if b"\x1b" not in page and page.isascii():
        return page, "ascii"
    try:
        page.decode()
        plain = b"\x1b" not in page
    except UnicodeDecodeError:
        plain = False
        text = page.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        foreign = len(text) - sum(map(len, re.findall(r"[\0-\x7f]+", text)))
        if broken <= max(1, BROKEN_SHARE * foreign) and foreign > 2 * broken:
            return text.encode(), "utf-8"
    if plain:
        return page, "utf-8"
    said = _DECLARED.search(head)
    for name in (encoding, said[1].decode() if said else None):
        if (codec := _codec(name)) and codec != "utf-8":
            return _decoded(page, codec), codec
    codec = _codec(detect_encoding(page[: 16 * _LOOK_BYTES], html5_compatible=True)) or "cp1252"
    return _decoded(page, codec), codec


def _codec(name: str | None) -> str | None:
    """The codec browsers take for a label (Latin 1 is Windows 1252); None: no such label."""
    if not name or not name.isascii():
        return None
    try:
        # UTF-16 in a declaration that could be read byte by byte is untrue (WHATWG, 13.2.3.2).
        found = codecs.lookup(map_encoding_to_html5(name.strip().lower()) or name.strip())
    except (LookupError, ValueError):
        return None
    return None if not found._is_text_encoding or "16" in found.name else found.name


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: markup has its zeros all at odd or all at even places."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) // 2 or min(even, odd) * 10 > max(even, odd):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _decoded(page: bytes, codec: str) -> bytes:
    return page.decode(codec, "replace").encode("utf-8", "replace")


def _repaired(page: bytes) -> bytes:
    try:
        page.decode()
        return page
    except UnicodeDecodeError:
        return _decoded(page, "utf-8")
