"""A review queue, opened: what it asks, the order of its records, and one record at a time.

Holds ids and reasons; payloads are read when shown. Knows the snapshot, no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tenfold.core.asset import Snapshot
from tenfold.data import record
from tenfold.data.label.rows import PAYLOADS, RANK, REASON, SCORE
from tenfold.errors import UnknownName

MAX_CHARACTERS = 20_000
"""Of a text that are shown; a person who must read more needs another page."""
IMAGE_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
"""What a browser shows, by how it begins. Nothing that can hold a script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    record: str
    reason: str
    score: float
    rank: int
    place: str
    modality: str
    text: str = ""
    cut: int = 0
    """Characters of the text that are not shown."""
    row: tuple[tuple[str, str], ...] = ()
    image: bytes = b""

    @property
    def image_type(self) -> str:
        """Empty for what is no image that a browser shows."""
        if self.image[:4] == b"RIFF" and self.image[8:12] == b"WEBP":
            return "image/webp"
        return next((kind for head, kind in IMAGE_TYPES if self.image.startswith(head)), "")


class Queue:
    """Cheap to ask, holds nothing but ids and places."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.digest = snapshot.digest
        asked = snapshot.meta["review"]
        self.choices: tuple[str, ...] = tuple(asked["choices"])
        self.question: str = asked["question"]
        self.overlap: int = asked["overlap"]
        self._places: dict[str, tuple[Path, int, int]] = {}
        ranks: dict[str, int] = {}
        for segment in snapshot.segments():
            path = snapshot.path(segment.file)
            with pq.ParquetFile(path, memory_map=True) as file:
                for group in range(file.num_row_groups):
                    columns = file.read_row_group(group, [record.ID, RANK], use_threads=False)
                    for row, each in enumerate(columns.to_pylist()):
                        self._places[each[record.ID]] = (path, group, row)
                        ranks[each[record.ID]] = each[RANK]
        self.order: tuple[str, ...] = tuple(sorted(ranks, key=ranks.__getitem__))

    def __contains__(self, record: str) -> bool:
        return record in self._places

    def item(self, of: str) -> Item:
        """Raises UnknownName for a record that is not in this queue."""
        if of not in self._places:
            raise UnknownName("record", of, ())
        path, group, row = self._places[of]
        with pq.ParquetFile(path, memory_map=True) as file:
            [found] = file.read_row_group(group, use_threads=False).slice(row, 1).to_pylist()
        text = found.get(record.TEXT) or ""
        values: dict[str, Any] = found.get(record.ROW) or {}
        assert any(name in found for name in PAYLOADS)
        return Item(
            record=of,
            reason=found[REASON],
            score=found[SCORE],
            rank=found[RANK],
            place=found[record.PLACE],
            modality=found[record.MODALITY],
            text=text[:MAX_CHARACTERS],
            cut=max(0, len(text) - MAX_CHARACTERS),
            row=tuple(
                (name, "" if value is None else str(value)) for name, value in values.items()
            ),
            image=found.get(record.IMAGE) or b"",
        )
