"""Records of the hub and documents of a corpus, as an index takes them in. Knows Arrow batches by their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pyarrow as pa

from tenfold.core.asset import Document
from tenfold.data import record
from tenfold.data.retrieval.entry import Entry
from tenfold.errors import InputError

COLUMNS = (
    record.ID, record.SOURCE, record.PLACE, record.TIME, record.LICENCE, record.AUTHORITY, record.META,
    record.DROP, record.TEXT,
)  # fmt: skip
"""What is read of a snapshot."""


def of_records(batches: Iterable[pa.RecordBatch]) -> Iterator[Entry]:
    """Text records that were not dropped. Raises InputError where there is no text, or meta is no object."""
    for batch in batches:
        if record.TEXT not in batch.schema.names:
            raise InputError(
                "only records of text can be indexed", seen=sorted(batch.schema.names)[:8]
            )
        times = batch.column(record.TIME).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        columns = {name: batch.column(name).to_pylist() for name in COLUMNS if name != record.TIME}
        for row, time_us in enumerate(times.to_pylist()):
            values = {name: values[row] for name, values in columns.items()}
            if values[record.DROP] is not None or values[record.TEXT] is None:
                continue
            yield Entry.of(
                values[record.ID],
                values[record.TEXT],
                _meta(values[record.META], values[record.ID]),
                source=values[record.SOURCE],
                place=values[record.PLACE],
                licence=values[record.LICENCE],
                authority=float(values[record.AUTHORITY]),
                time_us=time_us,
            )


def of_documents(documents: Iterable[Document]) -> Iterator[Entry]:
    """Documents of a corpus: `meta` may say `authority` (0 to 1) and `time_us`."""
    for document in documents:
        about = {
            name: document.meta[name] for name in ("authority", "time_us") if name in document.meta
        }
        yield Entry.of(
            document.id,
            document.text,
            document.meta,
            source=document.source,
            place=document.source,
            licence=document.licence,
            **about,
        )


def _meta(text: str | None, name: str) -> dict[str, object]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError("meta is not a JSON object", where=f"record {name}", seen=text)
    return value
