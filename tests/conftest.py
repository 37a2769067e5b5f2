"""A Context that keeps what a step reports, and assets made without a store's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tenfold.core.asset import Corpus, Document, Draft, view
from tenfold.stores.memory import MemoryBlobs


class Recorder:
    """What a step sees while it runs; afterwards, what it said."""

    def __init__(self, folder: Path, seed: int = 7) -> None:
        self.asset, self.run_id, self.seed, self.cpu = "made", "run", seed, 1
        self.scratch: dict[str, Any] = {"factory": "test", "directory": str(folder)}
        self.folder = folder
        self.metrics: dict[str, float] = {}
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self._drafts = 0

    def draft(self, kind: str) -> Draft:
        self._drafts += 1
        folder = self.folder / f".draft{self._drafts}"
        folder.mkdir()
        return Draft(kind, folder)

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        if step is None:
            self.metrics[name] = value

    def progress(self, done: float, total: float, note: str = "") -> None:
        pass

    def log(self, event: str, **fields: Any) -> None:
        self.logs.append((event, fields))

    def checkpoint(self, draft: Draft, step: int) -> None:
        raise AssertionError("these steps do not checkpoint")

    def resume(self) -> None:
        return None


@pytest.fixture
def ctx(tmp_path) -> Recorder:
    return Recorder(tmp_path)


@pytest.fixture(scope="session")
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def commit(blobs):
    """Draft -> asset, as the engine does it."""
    return lambda draft, name="made": view(name, draft.commit(blobs), blobs)


@pytest.fixture
def corpus_of(commit):
    """Texts (or source -> text) -> corpus."""

    def make(texts) -> Corpus:
        pairs = texts.items() if isinstance(texts, Mapping) else enumerate(texts)
        return commit(
            Corpus.write(
                Draft(Corpus.kind),
                [
                    Document(f"id{n}", text, f"{name}", "CC0-1.0")
                    for n, (name, text) in enumerate(pairs)
                ],
            )
        )

    return make


@pytest.fixture
def run(ctx, commit):
    """Run a step with settings as a factory file gives them; returns the committed asset."""

    def go(step, *inputs, **config):
        return commit(step.invoke(inputs, ctx, step.configure(config)))

    return go


@pytest.fixture(scope="session")
def shared() -> Path:
    """Sample data too large for the repository, where the machine has it."""
    for place in (os.environ.get("TENFOLD_SHARED"), Path(__file__).parents[1] / "shared"):
        if place and (Path(place) / "data").is_dir():
            return Path(place) / "data"
    pytest.skip("the sample data is not here; point TENFOLD_SHARED at its folder")
