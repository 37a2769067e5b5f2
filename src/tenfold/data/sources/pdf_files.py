"""PDFs: the text of each page, or of the whole document."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream
from tenfold.need import need

_PASSWORD = 4  # FPDF_ERR_PASSWORD, fpdfview.h
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfFiles(FileSource):
    """`kind: pdf`. Places: `file#page=3`, or the file."""

    unit: Literal["page", "document"] = "page"
    max_pages: int = 20_000

    MATCH: ClassVar[tuple[str, ...]] = ("*.pdf",)

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        pdfium = need("pypdfium2", extra="pdf", why="to read PDFs")
        data = stream.whole(self.limits.file_bytes)
        if isinstance(data, Quarantined):
            yield data
            return
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            if getattr(error, "err_code", None) == _PASSWORD:
                yield Quarantined(stream.place, "password", "encrypted, and no password is known", data)
            else:
                yield Quarantined(stream.place, "corrupt", f"no PDF: {error}"[:300], data)
            return
        try:
            pages = self._pages(document, stream.place, pdfium)
            yield from pages if self.unit == "page" else _joined(pages, stream.place, self.limits.record_bytes)
        finally:
            document.close()

    def _pages(self, document: Any, place: str, pdfium: Any) -> Iterator[Found | Quarantined]:
        about = document.get_metadata_dict(skip_empty=True)
        time = _moment(about.get("ModDate") or about.get("CreationDate") or "")
        meta = {name.lower(): about[name] for name in ("Title", "Author") if name in about}
        count = len(document)
        if count == 0:
            yield Quarantined(place, "empty", "a PDF without pages")
        for number in range(1, min(count, self.max_pages) + 1):
            here = f"{place}#page={number}"
            try:
                text = _text(document[number - 1], self.limits.record_bytes // 4)
            except pdfium.PdfiumError as error:
                yield Quarantined(here, "corrupt", f"no page: {error}"[:300])
                continue
            if text is None:
                yield Quarantined(here, "too_long", "more text than a record may have")
            elif not text.strip():
                yield Quarantined(here, "empty", "a page without text: a scan, or blank")
            else:
                yield Found(here, text, time, dict(meta))
        if count > self.max_pages:
            fact = f"pages {self.max_pages + 1} to {count} are over max_pages"
            yield Quarantined(place, "too_long", fact)


def _text(page: Any, limit: int) -> str | None:
    """At most `limit` characters, or null."""
    try:
        held = page.get_textpage()
        try:
            if held.count_chars() > limit:
                return None
            text: str = held.get_text_bounded() if held.count_chars() else ""
            # PDFium writes U+FFFE where a line's hyphen was, and CR LF between lines.
            text = text.replace("\r\n", "\n").replace("\ufffe", "-").replace("\0", "")
            return text.encode("utf-8", "replace").decode()
        finally:
            held.close()
    finally:
        page.close()


def _joined(
    pages: Iterator[Found | Quarantined], place: str, limit: int
) -> Iterator[Found | Quarantined]:
    """One record of all pages; pages that could not be read are quarantined beside it."""
    texts: list[str] = []
    first: Found | None = None
    size = 0
    for page in pages:
        if isinstance(page, Quarantined):
            yield page
            continue
        assert isinstance(page.payload, str)
        first = first or page
        texts.append(page.payload)
        size += len(page.payload)
        if 4 * size > limit:
            yield Quarantined(place, "too_long", f"more than {limit} bytes of text")
            return
    if first is not None:
        yield Found(place, "\n\n".join(texts), first.time, {**first.meta, "pages": len(texts)})


def _moment(date: str) -> datetime.datetime | None:
    """PDF 32000-1, 7.9.4; the zone is left out, since half of all writers have it wrong."""
    if not (found := _DATE.match(date)):
        return None
    parts = [int(part) if part else None for part in found.groups()]
    try:
        return datetime.datetime(
            parts[0] or 1, parts[1] or 1, parts[2] or 1, parts[3] or 0, parts[4] or 0, parts[5] or 0,
            tzinfo=datetime.UTC,
        )  # fmt: skip
    except ValueError:
        return None
