"""A corpus as a connector: its documents as batches of records. A line that is no document is quarantined."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenfold.core.asset import Document
from tenfold.data import record
from tenfold.data.sources.connector import Item, Quarantined

_ROWS = 1000
DOCUMENT = "document"
"""The key in `meta` for a document's own id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """`path`: the documents.jsonl of a corpus. Each document has its own licence."""

    name: str
    path: Path
    licence: str = ""
    authority: float
    half_life_days: float | None = None

    def observe(self) -> Any:
        """Nothing: a corpus is an asset, and its digest says all."""
        return None

    def read(self, cursor: str | None) -> Generator[Item, None, str | None]:
        with self.path.open("rb") as lines:
            items = self._items(lines)
            while some := list(islice(items, _ROWS)):
                yield from (item for item in some if isinstance(item, Quarantined))
                rows = [item for item in some if isinstance(item, dict)]
                if rows:
                    yield pa.RecordBatch.from_pylist(rows, record.schema("text"))
        return cursor

    def _items(self, lines: Iterator[bytes]) -> Iterator[dict[str, Any] | Quarantined]:
        for number, line in enumerate(lines, 1):
            try:
                document = Document(**json.loads(line))
                payload = document.text.encode()
                meta = {**document.meta, DOCUMENT: document.id, "split": document.split}
            except (ValueError, TypeError, AttributeError) as error:
                yield Quarantined(f"{self.name}:{number}", "json", f"no document: {error}", line)
                continue
            yield {
                "id": record.record_id(self.name, payload),
                "source": self.name,
                "place": document.source,
                "modality": "text",
                "licence": document.licence,
                "authority": self.authority,
                "meta": json.dumps(meta, sort_keys=True, ensure_ascii=False),
                "text": document.text,
            }
