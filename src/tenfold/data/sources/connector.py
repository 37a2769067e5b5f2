"""A connector: one source outside, read as record batches, and beside them what could not be read.

    reading = Reading(connector, cursor)
    for item in reading:            # pa.RecordBatch | Quarantined, in the order of the source
        ...
    reading.cursor, reading.integration     # complete only when the loop ran to its end

Knows no format and no hub. What a connector yields decides nothing: the hub may refuse a source whose
readable share is low, the connector only says what it saw.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from tenfold.data.sources import integration

RAW_BYTES = 4096
"""The most that a quarantined thing carries of itself."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that did not become a record: a line, a row, a page, or a whole file."""

    place: str
    """As a record's place: `file:line`, `file#page=3`, a URL, `table:key`. A whole file: its name."""
    cause: str
    """One word of docs/data-sources.md: `json`, `encoding`, `too_long`, ... The metric's suffix."""
    fact: str
    """One short sentence for a person: what is wrong. Never a credential."""
    raw: bytes | None = None
    """Its first bytes, at most RAW_BYTES; null where there are none (a closed file)."""

    def __post_init__(self) -> None:
        if self.raw is not None and len(self.raw) > RAW_BYTES:
            object.__setattr__(self, "raw", bytes(self.raw[:RAW_BYTES]))


Item: TypeAlias = "pa.RecordBatch | Quarantined"


class Connector(Protocol):
    """One source. Connectors are frozen dataclasses: their fields are their settings, credentials aside.

    Batches have the schema of `record.schema(modality)`. Text and images: one schema for ever. Rows: the
    struct's fields are fixed by the first rows of a reading (or by the setting `columns`); all batches of
    one reading have one schema. No batch is empty.
    """

    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def authority(self) -> float:
        """0 to 1."""

    @property
    def half_life_days(self) -> float | None:
        """After this many days its content counts half; null: it does not age."""

    def observe(self) -> Any:
        """What is out there now, as plain JSON values: equal values, nothing new to read.

        Files: name -> size and digest. HTTP: ETag or digest. Tables: row count and largest cursor value.
        Raises InputError where the source cannot be reached at all.
        """

    def read(self, cursor: str | None) -> Generator[Item, None, str | None]:
        """What came after `cursor` (null: everything), and as return value the cursor for the next time.

        The cursor is opaque: hand back what came out, and only once everything before it is safe. Without
        news it yields nothing and returns an equal cursor. The same outside and cursor give the same
        items. Raises InputError where the source cannot be reached at all; all else is quarantined.
        """


class Reading(Iterator[Item]):
    """One reading of a connector: its items, and what it cost.

    The clock runs only while the connector works, not while the caller does something with an item.
    """

    def __init__(self, connector: Connector, cursor: str | None = None) -> None:
        self.cursor: str | None = cursor
        """Moves when the reading has come to its end, not before."""
        self._source = connector.name
        self._items = connector.read(cursor)
        self._records = self._bytes = 0
        self._causes: Counter[str] = Counter()
        self._repaired: Counter[str] = Counter()
        self._elapsed_s = 0.0
        self._first_record_s: float | None = None

    def __next__(self) -> Item:
        begin = time.perf_counter()
        try:
            item = next(self._items)
        except StopIteration as stop:
            self.cursor = stop.value
            raise
        finally:
            self._elapsed_s += time.perf_counter() - begin
        if isinstance(item, Quarantined):
            self._causes[item.cause] += 1
        else:
            if self._first_record_s is None:
                self._first_record_s = self._elapsed_s
            self._records += item.num_rows
            self._bytes += item.nbytes
            self._repaired.update(integration.repairs(item))
        return item

    @property
    def integration(self) -> integration.Integration:
        """What has been measured so far."""
        return integration.Integration(
            source=self._source,
            records=self._records,
            bytes=self._bytes,
            causes=dict(sorted(self._causes.items())),
            repaired=dict(sorted(self._repaired.items())),
            first_record_s=self._first_record_s,
            elapsed_s=self._elapsed_s,
        )
