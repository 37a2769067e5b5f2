"""The records of a review queue as tables: one for each kind of payload, with reason, score and rank.

Reads snapshots; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenfold.core.asset import Snapshot
from tenfold.core.segment import read_batches
from tenfold.data import record

REASON, SCORE, RANK = "review.reason", "review.score", "review.rank"
PAYLOADS = (record.TEXT, record.IMAGE, record.ROW)

Wanted = Sequence[tuple[str, str, float]]
"""(record, reason, score), in the order of work."""


def of_records(
    snapshot: Snapshot, wanted: Wanted, more: Sequence[dict[str, Any]]
) -> list[pa.Table]:
    """The wanted records, those of `more` (text rows) among them. A drop is taken off: it is the reason now."""
    by_id = {each[0]: (rank, *each[1:]) for rank, each in enumerate(wanted)}
    tables = list(payloads(snapshot, set(by_id), about=True, kept_only=False))
    if strange := [row for row in more if row["id"] in by_id]:
        tables.append(pa.Table.from_pylist(strange, record.schema("text")))
    joined: dict[pa.Schema, list[pa.Table]] = {}
    for table in tables:
        joined.setdefault(table.schema, []).append(table)
    return [_ranked(pa.concat_tables(parts), by_id) for parts in joined.values()]


def payloads(
    snapshot: Snapshot, ids: set[str], *, about: bool = False, kept_only: bool = True
) -> Iterator[pa.Table]:
    """Ids and payloads of these records, with `about` all columns that every record has; one table for each
    schema, each record once."""
    wanted = pa.array(sorted(ids), pa.string())
    parts: dict[pa.Schema, list[pa.RecordBatch]] = {}
    for segment in snapshot.segments():
        path = snapshot.path(segment.file)
        names = pq.read_schema(path).names
        columns = list(record.ABOUT.names) if about else [record.ID]
        columns += [name for name in PAYLOADS if name in names]
        for batch in read_batches(path, columns, kept_only=kept_only):
            found = batch.filter(pc.is_in(batch.column(record.ID), wanted))
            if found.num_rows:
                parts.setdefault(found.schema, []).append(found)
    for batches in parts.values():
        table = pa.Table.from_batches(batches)
        first = dict(reversed([(id_, n) for n, id_ in enumerate(table[record.ID].to_pylist())]))
        yield table.take(pa.array(sorted(first.values())))


def of_quarantine(snapshot: Snapshot) -> list[dict[str, Any]]:
    """What could not be read, as text records: cause, fact, and the first bytes as far as they are text."""
    rows = []
    for name in sorted(snapshot.files):
        if not name.startswith("quarantine/"):
            continue
        for batch in read_batches(snapshot.path(name)):
            for each in batch.to_pylist():
                raw = each["raw"] or b""
                text = f"{each['cause']}: {each['fact']}\n\n{raw.decode(errors='replace')}"
                row = dict.fromkeys(record.schema("text").names)
                row |= {
                    record.ID: record.record_id(each["place"], text.encode()),
                    record.SOURCE: "quarantine", record.PLACE: each["place"],
                    record.MODALITY: "text", record.LICENCE: "unknown", record.AUTHORITY: 0.0,
                    record.TEXT: text,
                }  # fmt: skip
                rows.append(row)
    return rows


def _ranked(table: pa.Table, by_id: dict[str, tuple[int, str, float]]) -> pa.Table:
    ids = table[record.ID].to_pylist()
    rank, reason, score = (list(each) for each in zip(*(by_id[id_] for id_ in ids), strict=True))
    kept = table.schema.get_field_index(record.DROP)
    table = table.set_column(kept, table.schema.field(kept), pa.nulls(table.num_rows, pa.string()))
    for name, values, kind in (
        (REASON, reason, pa.string()), (SCORE, score, pa.float32()), (RANK, rank, pa.int32()),
    ):  # fmt: skip
        table = table.append_column(name, pa.array(values, kind))
    return table.sort_by(RANK)
