"""Snapshots read from files, and events of annotators."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenfold.core.facts import LabelEvent
from tenfold.data.ingest import ingest


def _event(
    record: str, annotator: str, label: str = "", action: str = "label", seq: int = 0
) -> Any:
    return LabelEvent(
        factory="f", queue="q", digest="d", record=record, annotator=annotator, action=action,
        label=label, seq=seq,
    )  # fmt: skip


@pytest.fixture
def texts_snapshot(tmp_path: Path, run: Any) -> Callable[..., Any]:
    """Texts (and broken lines, as they are) -> a snapshot, through `data.ingest`."""

    def make(texts: Sequence[str], broken: Sequence[str] = ()) -> Any:
        lines = [json.dumps({"text": text}) for text in texts]
        (tmp_path / "given.jsonl").write_text("\n".join([*lines, *broken]) + "\n")
        return run(ingest, sources=[{"kind": "jsonl", "path": "given.jsonl", "licence": "CC0-1.0"}])

    return make


@pytest.fixture(scope="session")
def event() -> Callable[..., LabelEvent]:
    return _event
