"""JSON Lines: one object a line, each text with its meta or each a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.json_value import parse
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream
from tenfold.data.sources.unpacking import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLines(FileSource):
    """`kind: jsonl`. Places: `file:line`. Blank lines are no records."""

    modality: Literal["text", "row"] = "text"
    """`row`: the object's fields are the columns."""
    text_field: str = "text"
    time_field: str | None = None
    """ISO 8601, or seconds since 1970."""
    licence_field: str | None = None
    """A record's own licence goes before the source's."""
    columns: Mapping[str, str] | None = None
    """For rows: column -> string, int, float, bool, time or binary; default: what the first rows show."""

    MATCH: ClassVar[tuple[str, ...]] = ("*.jsonl", "*.ndjson")

    def __post_init__(self) -> None:
        FileSource.__post_init__(self)  # slots leave no `super()` before Python 3.12
        Shape(self.columns)

    def shape(self) -> Shape | None:
        return Shape(self.columns) if self.modality == "row" else None

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        empty, fields = True, self._fields()
        for number, line in stream.lines():
            empty = False
            if isinstance(line, Quarantined):
                yield line
            elif not line.isspace():
                yield _record(line, f"{stream.place}:{number}", fields)
        if empty:
            yield Quarantined(stream.place, "empty", "nothing in it", b"")

    def _fields(self) -> Fields:
        text = self.text_field if self.modality == "text" else None
        return Fields(text=text, time=self.time_field, licence=self.licence_field)


def _record(line: bytes, place: str, fields: Fields) -> Found | Quarantined:
    parsed = parse(line)
    if isinstance(parsed, Fault):
        return Quarantined(place, parsed.cause, parsed.fact, line)
    if not isinstance(parsed.value, dict):
        fact = f"a {type(parsed.value).__name__}, not an object"
        return Quarantined(place, "json", fact, line)
    return fields.record(parsed.value, place, line, parsed.repaired)
