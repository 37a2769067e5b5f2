"""Text files: one record a file, or one a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from tenfold.data.sources import encoding
from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFiles(FileSource):
    """`kind: files`. Places: the file, or `file:line` where a paragraph begins."""

    unit: Literal["file", "paragraph"] = "file"
    """Paragraphs are parted by blank lines."""
    encoding: str | None = None
    """What the files claim to be; tried first, not believed."""

    MATCH: ClassVar[tuple[str, ...]] = ("*.txt", "*.text", "*.md", "*.markdown", "*.rst")

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        if self.unit == "paragraph":
            yield from self._paragraphs(stream)
            return
        data = stream.whole(self.limits.record_bytes)
        yield data if isinstance(data, Quarantined) else text(data, stream.place, self.encoding)

    def _paragraphs(self, stream: Stream) -> Iterator[Found | Quarantined]:
        block: list[bytes] = []
        begin = size = 0
        anything = False
        for number, line in stream.lines():
            anything = True
            fresh = isinstance(line, bytes) and not line.strip()
            long = isinstance(line, bytes) and size + len(line) > self.limits.record_bytes
            if block and (fresh or long or isinstance(line, Quarantined)):
                yield text(b"".join(block), f"{stream.place}:{begin}", self.encoding)
                block, size = [], 0
            if isinstance(line, Quarantined):
                yield line
            elif not fresh:
                begin = begin if block else number
                block.append(line)
                size += len(line)
        if block:
            yield text(b"".join(block), f"{stream.place}:{begin}", self.encoding)
        elif not anything:
            yield Quarantined(stream.place, "empty", "nothing in it", b"")


def text(data: bytes, place: str, declared: str | None) -> Found | Quarantined:
    """A record of text, or why its bytes are none."""
    decoded = encoding.decode(data, declared)
    if isinstance(decoded, encoding.Undecodable):
        return Quarantined(place, decoded.cause, decoded.fact, data)
    if not decoded.text.strip():
        return Quarantined(place, "empty", "nothing but blanks", data)
    meta = {} if decoded.encoding == "utf-8" else {"encoding": decoded.encoding}
    return Found(place, decoded.text, meta=meta, repaired=decoded.repaired)
