"""A record: one text, one image or one row, with where it came from and what was found out about it.

Records travel as Arrow batches and rest in Parquet segments. Text, images and rows have the same columns
about them; what they are is in one payload column. Operators add columns of their own. Knows no source,
no operator and no file.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa

ID = "id"
"""16 hex digits of SHA-256 over source and payload: another text is another record."""
SOURCE = "source"
PLACE = "place"
"""Where a person finds it again: `file:line`, `file#page=3`, a URL, `table:key`."""
MODALITY = "modality"
"""`text`, `image` or `row`."""
TIME = "time"
"""When the content was made or last changed, as the source says; null: it does not say."""
LICENCE = "licence"
AUTHORITY = "authority"
"""0 to 1: how far its source is trusted."""
SUBJECTS = "subjects"
"""Keyed hashes of the persons it speaks of; names never stand here."""
META = "meta"
"""What else the source knows, as one JSON object: headers, labels, status."""
DROP = "drop"
"""Null: it stays. Otherwise the cause, `operator.rule`; the first one to fire is kept."""

TEXT = "text"
IMAGE = "image"
"""The bytes of the image file, as they came."""
ROW = "row"
"""A struct, one field per column of the table."""

ABOUT = pa.schema(
    [
        pa.field(ID, pa.string(), nullable=False),
        pa.field(SOURCE, pa.string(), nullable=False),
        pa.field(PLACE, pa.string(), nullable=False),
        pa.field(MODALITY, pa.string(), nullable=False),
        pa.field(TIME, pa.timestamp("us", tz="UTC")),
        pa.field(LICENCE, pa.string(), nullable=False),
        pa.field(AUTHORITY, pa.float32(), nullable=False),
        pa.field(SUBJECTS, pa.list_(pa.binary())),
        pa.field(META, pa.string()),
        pa.field(DROP, pa.string()),
    ]
)
"""The columns that every record has, in this order; the payload column follows."""


def schema(modality: str, row: pa.DataType | None = None) -> pa.Schema:
    """The schema of fresh records. `row`: the struct type of a table's columns, for modality `row`."""
    payload = {
        "text": pa.field(TEXT, pa.string()),
        "image": pa.field(IMAGE, pa.binary()),
        "row": pa.field(ROW, pa.struct([]) if row is None else row),
    }[modality]
    return ABOUT.append(payload)


def record_id(source: str, payload: bytes) -> str:
    """The same for the same payload of the same source, on every machine."""
    return hashlib.sha256(source.encode() + b"\0" + payload).hexdigest()[:16]
