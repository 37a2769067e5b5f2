"""Records, connectors and snapshots for tests of the hub."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tenfold.core.asset import Snapshot
from tenfold.core.segment import Segment
from tenfold.data import record
from tenfold.data.hub.executor import Serial
from tenfold.data.hub.job import make
from tenfold.data.hub.reading import ReadingJob, read_source
from tenfold.data.hub.snapshot import Origin, write_snapshot

SCHEMA = record.schema("text")


def _batch_of(texts: Sequence[str], **columns: Sequence[Any]) -> pa.RecordBatch:
    """Fresh text records; `columns` override."""
    rows: dict[str, Any] = {
        "id": [record.record_id("test", text.encode()) for text in texts],
        "source": ["test"] * len(texts),
        "place": [f"test:{n}" for n in range(len(texts))],
        "modality": ["text"] * len(texts),
        "time": [None] * len(texts),
        "licence": ["CC0-1.0"] * len(texts),
        "authority": [0.5] * len(texts),
        "subjects": [None] * len(texts),
        "meta": [None] * len(texts),
        "drop": [None] * len(texts),
        "text": list(texts),
    } | columns
    return pa.RecordBatch.from_pydict(rows, SCHEMA)


def _texts(count: int, size: int = 400, seed: str = "") -> list[str]:
    """Distinct, hardly compressible texts of `size` characters."""
    found = []
    for n in range(count):
        drawn = hashlib.shake_128(f"{seed}{n}".encode()).hexdigest(size // 2)
        found.append(" ".join(drawn[i : i + 7] for i in range(0, len(drawn), 8)))
    return found


class Given:
    """A connector that gives what it was given."""

    name, licence, authority, half_life_days = "given", "CC0-1.0", 0.5, None

    def __init__(self, items: Sequence[Any], observed: Any = None) -> None:
        self.items, self.observed = list(items), observed

    def observe(self) -> Any:
        return self.observed

    def read(self, cursor: str | None) -> Iterator[Any]:
        yield from self.items


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., pa.RecordBatch]:
    return _batch_of


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[str]]:
    return _texts


@pytest.fixture
def marking(monkeypatch) -> Any:
    """Operators that workers can import."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("marking")


@pytest.fixture
def snapshot_of(ctx, commit) -> Callable[..., Snapshot]:
    """Items of a source -> snapshot, in segments of about `segment_bytes`."""

    def go(items: Sequence[Any], segment_bytes: int = 100_000, observed: Any = None) -> Snapshot:
        digests = [i.column("id").to_pylist() if hasattr(i, "column") else str(i) for i in items]
        job = ReadingJob(Given(items), {"items": digests}, observed, segment_bytes)
        [piece] = make(ctx, read_source, [job], Serial(), "test")
        found = [Segment.from_json(plain) for plain in piece.meta["segments"]]
        pairs = [(each, piece.files[f"{each.sha256}.parquet"]) for each in found]
        origin = Origin(modality="text", recipe=[], quarantine=piece.meta["quarantine"])
        return commit(write_snapshot(ctx, ctx.draft(Snapshot.kind), pairs, origin))

    return go
