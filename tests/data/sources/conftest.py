"""What tests of sources share: a connector from settings, read to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenfold.data.sources.connector import Quarantined, Reading
from tenfold.data.sources.integration import Integration
from tenfold.data.sources.kinds import connector


@dataclass
class Read:
    records: list[dict[str, Any]]
    quarantined: list[Quarantined]
    cursor: str | None
    integration: Integration

    @property
    def causes(self) -> list[str]:
        return sorted(one.cause for one in self.quarantined)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.records]


def read(cursor: str | None = None, **settings: Any) -> Read:
    """Everything that a source gives."""
    reading = Reading(connector({"licence": "CC0-1.0", **settings}), cursor)
    records, quarantined = [], []
    for item in reading:
        if isinstance(item, Quarantined):
            quarantined.append(item)
        else:
            item.validate(full=True)
            assert item.num_rows
            records.extend(item.to_pylist())
    return Read(records, quarantined, reading.cursor, reading.integration)


@pytest.fixture(name="read")
def _read() -> Callable[..., Read]:
    return read


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], str]:
    """A file of that name and content; its path."""

    def write(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return write
