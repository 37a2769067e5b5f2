"""Web archives: WARC responses as the main text of their pages, WET conversions as text.

A damaged member costs itself: reading goes on with the next gzip member. Requests, metadata and the
archive's own description are no content and are passed over; a response that is no page is quarantined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal, cast

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.http_message import parse
from tenfold.data.sources.moment import moment
from tenfold.data.sources.packing import Found
from tenfold.data.sources.pages import EXTRACT, charset, page
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream
from tenfold.data.sources.text_lines import text
from tenfold.data.sources.unpacking import Fault

_CONTENT = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
_PAGES = ("text/html", "application/xhtml+xml")
_PAGE = re.compile(
    rb"\s*<(!--|!doctype html\b|(html|head|body|div|title|script|p|table|a|br|h1|b|style)\b)", re.I
)
"""What a page begins with where nothing is said of its type (WHATWG MIME Sniffing, 7.1)."""
_PLAIN = ("text/plain", "text/markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarcFiles(FileSource):
    """`kind: warc`. Places: `file#URL`."""

    text: Literal["main", "all", "markup"] = "main"
    """Of pages: their main text, all that can be seen, or the markup for the operator `html`."""

    MATCH: ClassVar[tuple[str, ...]] = ("*.warc", "*.wet", "*.arc")

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        anything = False
        while True:
            for entry in ArchiveIterator(
                cast(BinaryIO, stream), record_types=_CONTENT, parse_http=False
            ):
                anything = True
                yield self._record(entry, stream)
            if fault := stream.fault():
                anything = True
                yield Quarantined(stream.place, fault.cause, fault.fact)
            if not stream.resume():
                break
        if not anything:
            yield Quarantined(stream.place, "empty", "no record with content in it")

    def _record(self, entry: Any, stream: Stream) -> Found | Quarantined:
        url = entry.headers.get("WARC-Target-URI") or entry.headers.get("WARC-Record-ID") or "?"
        url = url.strip("<>").encode("utf-8", "backslashreplace").decode()
        place = f"{stream.place}#{url}"
        limit = self.limits.record_bytes
        declared = int(entry.content_length)
        body = entry.reader.read(limit + 1)
        if len(body) > limit:
            return Quarantined(place, "too_long", f"more than {limit} bytes", body)
        if len(body) < declared or not entry.headers.get("Content-Length"):
            # the stream's fault may lie behind this record, but not behind its end
            if fault := stream.fault():
                return Quarantined(place, fault.cause, fault.fact, body)
            fact = f"{len(body)} of {declared} bytes are there, by its head"
            return Quarantined(place, "truncated", fact, body)
        made = self._made(entry, place, body)
        if isinstance(made, Found):
            made.time = moment(entry.headers.get("WARC-Date")) or made.time
            made.meta["url"] = url
        return made

    def _made(self, entry: Any, place: str, body: bytes) -> Found | Quarantined:
        if not body:
            return Quarantined(place, "empty", "nothing in it", b"")
        if entry.record_type != WarcRecordType.response:
            if entry.record_type == WarcRecordType.conversion:
                return text(body, place, None)
            return self._typed(entry.headers.get("Content-Type") or "", place, body)
        message = parse(body, self.limits)
        if isinstance(message, Fault):
            return Quarantined(place, message.cause, message.fact, body)
        if message.status != 200:
            return Quarantined(place, "http_status", f"HTTP status {message.status}", body)
        if not message.body:
            return Quarantined(place, "empty", "nothing in it", body)
        return self._typed(message.headers.get("content-type", ""), place, message.body)

    def _typed(self, content_type: str, place: str, body: bytes) -> Found | Quarantined:
        kind = content_type.partition(";")[0].strip().lower()
        if kind in _PAGES or (not kind and _PAGE.match(body)):
            return page(body, place, charset(content_type), self.limits, EXTRACT[self.text])
        if kind in _PLAIN:
            return text(body, place, charset(content_type))
        return Quarantined(place, "content_type", f"neither a page nor text: {kind[:100]!r}", body)
