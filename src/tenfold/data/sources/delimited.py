"""CSV and its relatives: rows of columns, where a row that does not fit its header never shifts another.

Python's csv module splits (strict mode). A row with too few or too many columns is quarantined; a quote
that is never closed costs its own line only, since reading goes on with the next one. Values stay text:
what they mean is decided later, by those who normalise tables.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tenfold.data.sources import encoding
from tenfold.data.sources.connector import RAW_BYTES, Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.keys import Keys
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream
from tenfold.errors import ConfigError

_CANDIDATES = ",;\t|"
_SNIFFED_LINES = 20
_ROW_LINES = 10_000
"""A quoted field over more lines than this was never closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited(FileSource):
    """`kind: csv`. Places: `file:line`, where the row begins. Blank lines are no records."""

    delimiter: str | None = None
    """Default: the one of `,` `;` tab `|` that parts the first lines most evenly."""
    header: tuple[str, ...] = ()
    """The columns' names, where the files do not begin with them."""
    encoding: str | None = None
    text_field: str | None = None
    """This column is the text of a text record and the others are meta; default: the row is the record."""
    time_field: str | None = None
    licence_field: str | None = None
    key: str | None = None
    """A column whose values must differ: later rows of the same key are quarantined."""

    MATCH: ClassVar[tuple[str, ...]] = ("*.csv", "*.tsv", "*.tab")

    def __post_init__(self) -> None:
        # Without cells: dataclasses with slots have no `super()` of their own class before 3.12.
        FileSource.__post_init__(self)
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ConfigError("one character", where="delimiter", seen=self.delimiter)

    def shape(self) -> Shape | None:
        return None if self.text_field else Shape(dict.fromkeys(self.header, "string"))

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        lines = _Lines(stream, self.encoding)
        delimiter = self.delimiter or _sniffed(lines.ahead(_SNIFFED_LINES))
        names: Sequence[str] | None = self.header or None
        fields = Fields(text=self.text_field, time=self.time_field, licence=self.licence_field)
        anything = False
        with Keys() as keys:
            for row in _rows(lines, delimiter):
                anything = True
                if isinstance(row, Quarantined):
                    yield row
                elif names is None:
                    names = [name.strip() or f"column_{n}" for n, name in enumerate(row.values, 1)]
                    if fault := _unfit(names, self.key, self.text_field):
                        yield Quarantined(row.place, *fault, row.raw)
                        return
                elif (made := _record(row, names, fields, self.key, keys)) is not None:
                    yield made
        if not anything:
            yield Quarantined(stream.place, "empty", "nothing in it", b"")


def _unfit(names: Sequence[str], key: str | None, text: str | None) -> tuple[str, str] | None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return "duplicate_columns", f"columns named twice: {', '.join(twice)}"[:300]
    for wanted in (key, text):
        if wanted is not None and wanted not in names:
            return "field", f"no column {wanted!r} among: {', '.join(names)}"[:300]
    return None


@dataclass(slots=True)
class _Row:
    place: str
    values: list[str]
    raw: bytes
    repaired: tuple[str, ...]


def _record(
    row: _Row, names: Sequence[str], fields: Fields, key: str | None, keys: Keys
) -> Found | Quarantined | None:
    values, repaired = row.values, row.repaired
    if len(values) > len(names) and not any(values[len(names) :]):
        values, repaired = values[: len(names)], (*repaired, "trailing")
    if len(values) != len(names):
        fact = f"{len(values)} columns where the header has {len(names)}"
        return Quarantined(row.place, "columns", fact, row.raw)
    record = dict(zip(names, values, strict=True))
    if key is not None and not keys.fresh(record[key]):
        return Quarantined(row.place, "duplicate_key", f"{key} was there before", row.raw)
    return fields.record(record, row.place, row.raw, repaired)


class _Lines:
    """Decoded lines with their numbers; some may be put back."""

    def __init__(self, stream: Stream, declared: str | None) -> None:
        self.place, self.limit = stream.place, stream.limits.record_bytes
        self._source, self._declared = stream.lines(), declared
        self._waiting: deque[tuple[int, encoding.Text | Quarantined]] = deque()

    def take(self) -> tuple[int, encoding.Text | Quarantined] | None:
        if self._waiting:
            return self._waiting.popleft()
        number, line = next(self._source, (0, b""))
        if not number:
            return None
        if isinstance(line, Quarantined):
            return number, line
        decoded = encoding.decode(line, self._declared)
        if isinstance(decoded, encoding.Undecodable):
            place = f"{self.place}:{number}"
            return number, Quarantined(place, decoded.cause, decoded.fact, line)
        return number, decoded

    def put_back(self, lines: Sequence[tuple[int, encoding.Text | Quarantined]]) -> None:
        self._waiting.extendleft(reversed(lines))

    def ahead(self, count: int) -> list[str]:
        taken = []
        while len(taken) < count and (line := self.take()):
            taken.append(line)
        self.put_back(taken)
        return [line.text for _, line in taken if isinstance(line, encoding.Text)]


def _sniffed(lines: Sequence[str]) -> str:
    """The candidate that splits most lines into as many columns as the first one, more than one."""

    def evenness(candidate: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=candidate) if row]
        first = widths[0] if widths else 1
        return (sum(width == first for width in widths) if first > 1 else 0, first)

    try:
        return max(_CANDIDATES, key=evenness)
    except csv.Error:
        return ","


def _rows(lines: _Lines, delimiter: str) -> Iterator[_Row | Quarantined]:
    # The module's limit is 128 KiB and one for the whole process: raised where ours is higher.
    csv.field_size_limit(max(csv.field_size_limit(), lines.limit))
    while (first := lines.take()) is not None:
        if isinstance(first[1], Quarantined):
            yield first[1]
        elif first[1].text.strip():
            yield _row(first[0], first[1], lines, delimiter)


def _row(
    number: int, first: encoding.Text, lines: _Lines, delimiter: str
) -> _Row | Quarantined:
    """The row that begins in this line; it takes further lines while a quote is open.

    A failed row puts all lines but its first one back. That stays linear: a line within quotes that does
    not end them cannot begin quotes itself, so the lines read in vain are read once more, not again.
    """
    place, used, whole = f"{lines.place}:{number}", [], [first]
    size = len(first.text)

    def feed() -> Iterator[str]:
        nonlocal size
        yield first.text
        while len(used) < _ROW_LINES and size < lines.limit and (more := lines.take()):
            used.append(more)
            if isinstance(more[1], Quarantined):
                return
            whole.append(more[1])
            size += len(more[1].text)
            yield more[1].text

    try:
        values = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        lines.put_back(used)
        fact = f"cannot be split: {error or 'no row'}"
        return Quarantined(place, "quoting", fact, first.text.encode())
    raw = "".join(text.text for text in whole)[:RAW_BYTES].encode()
    repaired = tuple(dict.fromkeys(name for text in whole for name in text.repaired))
    return _Row(place, values, raw, repaired)
