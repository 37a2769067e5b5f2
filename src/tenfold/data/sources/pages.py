"""HTML pages, and the guards in front of the parser: size and depth are bounded before a tree is built."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from tenfold.data.sources import encoding
from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.html_text import main_text, markup, visible
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream

_TAG = re.compile(rb"<(/?)([a-zA-Z][^\s/>]{0,31})")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w:.-]{1,40})""", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,1000})", re.IGNORECASE)
_NEVER_CLOSED = frozenset(
    b"area base br col embed hr img input link meta param source track wbr"  # HTML, 13.1.2: void
    b" p li dt dd option tr td th thead tbody tfoot colgroup rt rp".split()  # and those that may stay open
)
_HEAD_BYTES = 4096


Extract = Callable[[bytes, str | None], tuple[str, str]]
EXTRACT: dict[str, Extract] = {"main": main_text, "all": visible, "markup": markup}
"""What the setting `text` may be."""
CAUSES = {
    "no_main_text": "a page without a main text: lists of links, forms, a few words",
    "too_many_blocks": "a page of more parts than are read",
    "binary": "no page but another kind of file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages(FileSource):
    """`kind: html`. One record a page. Places: the file."""

    text: Literal["main", "all", "markup"] = "main"
    """`main`: the article, without what stands around it; `all`: everything that can be seen; `markup`: the
    page as it is, for the operator `html` to work on, on many cores."""
    encoding: str | None = None

    MATCH: ClassVar[tuple[str, ...]] = ("*.html", "*.htm", "*.xhtml")

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        data = stream.whole(self.limits.record_bytes)
        yield (
            data
            if isinstance(data, Quarantined)
            else page(data, stream.place, self.encoding, self.limits, EXTRACT[self.text])
        )


def page(
    html: bytes,
    place: str,
    declared: str | None,
    limits: Limits,
    extract: Extract,
) -> Found | Quarantined:
    """The record of a page, or why there is none. `extract`: UTF-8 bytes and "utf-8" -> text, or a cause."""
    if too_deep(html, limits.nesting):
        fact = f"more than {limits.nesting} elements inside each other"
        return Quarantined(place, "nesting", fact, html)
    if declared is None and (named := _CHARSET.search(html[:_HEAD_BYTES])):
        declared = named[1].decode("ascii", "replace")
    decoded = encoding.decode(html, declared)
    if isinstance(decoded, encoding.Undecodable):
        return Quarantined(place, decoded.cause, decoded.fact, html)
    text, cause = extract(decoded.text.encode("utf-8", "replace"), "utf-8")
    if cause:
        return Quarantined(place, cause, CAUSES.get(cause, "a page without text"), html)
    meta = {} if decoded.encoding == "utf-8" else {"encoding": decoded.encoding}
    if title := _TITLE.search(decoded.text[:65536]):
        meta["title"] = " ".join(title[1].split())
    return Found(place, text, meta=meta, repaired=decoded.repaired)


def too_deep(html: bytes, limit: int) -> bool:
    """More than `limit` elements open at once. Markup in scripts counts, too: it errs on the safe side."""
    bytes_ = np.frombuffer(html, np.uint8)
    at = np.flatnonzero(bytes_[:-1] == ord("<")) if len(bytes_) else bytes_
    if len(at) <= limit:
        return False
    after = bytes_[at + 1]
    letter = (after | 0x20) - ord("a") < 26  # unsigned: below "a" wraps round
    depth = np.cumsum(letter.astype(np.int64) - (after == ord("/")))
    if int(depth.max()) <= limit:  # an upper bound, since void elements count as open
        return False
    stack: list[bytes] = []
    for closing, name in _TAG.findall(html):
        name = name.lower()
        if name in _NEVER_CLOSED:
            continue
        if not closing:
            stack.append(name)
            if len(stack) > limit:
                return True
        elif name in stack[-8:]:
            del stack[-1 - stack[::-1].index(name) :]
    return False


def charset(content_type: str | None) -> str | None:
    """The encoding that a Content-Type names, if Python knows it."""
    found = re.search(r"""charset\s*=\s*["']?([\w:.-]{1,40})""", content_type or "", re.IGNORECASE)
    try:
        return codecs.lookup(found[1]).name if found else None
    except LookupError:
        return None
