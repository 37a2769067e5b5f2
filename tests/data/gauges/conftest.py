"""Snapshots of given records, in segments of given sizes, without a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from tenfold.core.asset import Snapshot
from tenfold.data import record
from tenfold.data.hub.snapshot import Origin, write_snapshot
from tenfold.data.hub.writer import write_segment


@pytest.fixture
def snapshot(ctx, commit) -> Callable[..., Snapshot]:
    """`snapshot(text=[...], time=[...])`: columns override; `rows` per row group, `groups` per segment."""

    def make(
        *,
        rows: int = 10**9,
        groups: int = 10**9,
        sources: dict[str, dict[str, Any]] | None = None,
        lost: dict[str, int] | None = None,
        quarantine: dict[str, int] | None = None,
        **columns: Sequence[Any],
    ) -> Snapshot:
        payload = next(name for name in ("text", "image", "row") if name in columns)
        table = _table(payload, columns)
        draft = ctx.draft(Snapshot.kind)
        batches = table.combine_chunks().to_batches(max_chunksize=min(rows, table.num_rows))
        pairs = []
        for start in range(0, len(batches), groups):
            path = ctx.folder / f"segment{id(draft)}{start}.parquet"
            segment = write_segment(path, batches[start : start + groups], table.schema)
            with path.open("rb"):
                piece = ctx.draft("piece")
                path.rename(piece.path("segment.parquet"))
            pairs.append((segment, ctx.keep(segment.sha256, piece).files["segment.parquet"]))
        origin = Origin(
            modality=payload,
            recipe=[],
            lost=lost or {},
            quarantine=quarantine or {},
            sources=sources or {},
        )
        return commit(write_snapshot(ctx, draft, pairs, origin), "records")

    return make


def _table(payload: str, columns: dict[str, Sequence[Any]]) -> pa.Table:
    values = list(columns[payload])
    count = len(values)
    plain: dict[str, Any] = {
        "id": [
            record.record_id("test", f"{n}{value!r}".encode()) for n, value in enumerate(values)
        ],
        "source": ["test"] * count,
        "place": [f"test:{n}" for n in range(count)],
        "modality": [payload] * count,
        "time": [None] * count,
        "licence": ["CC0-1.0"] * count,
        "authority": [0.5] * count,
        "subjects": [None] * count,
        "meta": [None] * count,
        "drop": [None] * count,
    } | {name: list(given) for name, given in columns.items()}
    row = pa.array(values).type if payload == "row" else None
    schema = record.schema(payload, row)
    for name in plain:
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.array(plain[name]).type))
    return pa.Table.from_pydict(plain, schema=schema)
