"""JSON Lines: one object a line. Fast where a line is as it should be, exact where it is not.

orjson keeps the last of two equal keys without a word, so keys are counted: as many in the bytes as in the
object means there was no second one; otherwise the line is parsed again by a parser that tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson

from tenfold.data.sources import encoding
from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream

_SPACED = re.compile(rb'"[ \t\r]+:')
_SURROGATE = re.compile("[\ud800-\udfff]")


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

    MATCH: ClassVar[tuple[str, ...]] = ("*.jsonl", "*.ndjson", "*.json")

    def shape(self) -> Shape | None:
        return Shape(self.columns) if self.modality == "row" else None

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        empty = True
        for number, line in stream.lines():
            empty = False
            if isinstance(line, Quarantined):
                yield line
            elif not line.isspace():
                yield self._record(line, f"{stream.place}:{number}")
        if empty:
            yield Quarantined(stream.place, "empty", "nothing in it", b"")

    def _record(self, line: bytes, place: str) -> Found | Quarantined:
        repaired: tuple[str, ...] = ()
        try:
            value = orjson.loads(line)
            exact = type(value) is dict and _keys_in(line) == _keys_of(value)
        except (orjson.JSONDecodeError, RecursionError):
            exact = False
        if not exact:
            again = _exact(line, place)
            if isinstance(again, Quarantined):
                return again
            value, repaired = again
        return self._fields().record(value, place, line, repaired)

    def _fields(self) -> Fields:
        text = self.text_field if self.modality == "text" else None
        return Fields(text=text, time=self.time_field, licence=self.licence_field)


def _keys_in(line: bytes) -> int:
    """Keys that the bytes have: quotes before colons, those apart that stand in a string; -1: unsure."""
    if b'\\\\":' in line or _SPACED.search(line):
        return -1
    return line.count(b'":') - line.count(b'\\":')


def _keys_of(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(
            _keys_of(item) for item in value.values() if type(item) in (dict, list)
        )
    return sum(_keys_of(item) for item in value if type(item) in (dict, list))


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def _exact(line: bytes, place: str) -> tuple[dict[str, Any], tuple[str, ...]] | Quarantined:
    """Slowly, and saying exactly what is wrong."""
    decoded = encoding.decode(line)
    if isinstance(decoded, encoding.Undecodable):
        return Quarantined(place, decoded.cause, decoded.fact, line)
    repaired = decoded.repaired
    numbers: list[str] = []
    try:
        value = json.loads(
            decoded.text, object_pairs_hook=_unique, parse_constant=lambda name: numbers.append(name)
        )
        if b"\\u" in line and (mended := _whole(value)) != value:
            value, repaired = mended, (*repaired, "surrogate")
    except _Twice as error:
        name = str(error).encode("utf-8", "replace").decode()
        return Quarantined(place, "duplicate_key", f"{name[:100]!r} stands twice in one object", line)
    except RecursionError:
        return Quarantined(place, "nesting", "objects or lists too deep inside each other", line)
    except ValueError as error:
        return Quarantined(place, "json", f"not JSON: {str(error)[:200]}", line)
    if not isinstance(value, dict):
        return Quarantined(place, "json", f"a {type(value).__name__}, not an object", line)
    if numbers:
        repaired = (*repaired, "number")  # NaN and Infinity are no JSON: null
    return value, repaired


def _whole(value: Any) -> Any:
    """Half a surrogate pair is no character; U+FFFD stands in its place."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value
