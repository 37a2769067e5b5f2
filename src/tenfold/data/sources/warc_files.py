"""Web archives: WARC responses as the main text of their pages, WET conversions as text.

A damaged member costs itself: reading goes on with the next gzip member. Requests, metadata and the
archive's own description are no content and are passed over; a response that is no page is quarantined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.moment import moment
from tenfold.data.sources.packing import Found
from tenfold.data.sources.pages import charset, page
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream
from tenfold.data.sources.text_lines import text

_CONTENT = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
_PAGES = ("text/html", "application/xhtml+xml")
_PLAIN = ("text/plain", "text/markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarcFiles(FileSource):
    """`kind: warc`. Places: `file#URL`."""

    MATCH: ClassVar[tuple[str, ...]] = ("*.warc", "*.wet", "*.arc")

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        anything = False
        while True:
            for entry in ArchiveIterator(stream, record_types=_CONTENT, parse_http=True):
                anything = True
                yield self._record(entry, stream)
            fault = stream.fault()
            if fault is None:
                break
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
        if fault := stream.fault():
            return Quarantined(place, fault.cause, fault.fact, body)
        if len(body) < declared:
            fact = f"{len(body)} of {declared} bytes are there"
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
            kind = entry.headers.get("Content-Type") or "text/plain"
            if entry.record_type == WarcRecordType.conversion:
                return text(body, place, None)
            return self._typed(kind, place, body)
        http = entry.http_headers
        status = http.status_code if http is not None else None
        if status is not None and status != 200:
            return Quarantined(place, "http_status", f"HTTP status {status}", body)
        return self._typed((http.get("Content-Type") if http is not None else None) or "", place, body)

    def _typed(self, content_type: str, place: str, body: bytes) -> Found | Quarantined:
        kind = content_type.partition(";")[0].strip().lower()
        if kind in _PAGES or (not kind and b"<html" in body[:2048].lower()):
            return page(body, place, charset(content_type), self.limits)
        if kind in _PLAIN:
            return text(body, place, charset(content_type))
        return Quarantined(place, "content_type", f"neither a page nor text: {kind[:100]!r}", body)
