from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tenfold.core.asset import Asset, Corpus, Model, Report
from tenfold.core.step import Step, step
from tenfold.errors import ConfigError


@step(version="1", name="data.collect", produces=Corpus)
def collect(*, source: str, limit: int = 10) -> Corpus:
    """Collect documents."""


@dataclass(frozen=True, kw_only=True)
class Training:
    steps: int = 300
    """Optimiser steps, 1 or more."""
    rate: float = 1e-3
    """Peak learning rate."""
    schedule: Literal["cosine", "linear"] = "cosine"
    layers: list[int] | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError("steps must be 1 or more", seen=self.steps)


@step(version="1", name="train.pretrain", produces=Model)
def pretrain(corpus: Corpus, *, config: Training) -> Model:
    """Train a model from nothing."""


@step(version="1", name="evaluate.compare", produces=Report)
def compare(before: Model, after: Model, corpus: Corpus) -> Report:
    """Compare two models."""


@step(version="1", name="govern.bundle", produces=Report)
def bundle(*parts: Asset) -> Report:
    """Put anything together."""


@pytest.fixture
def steps() -> dict[str, Step]:
    return {one.name: one for one in (collect, pretrain, compare, bundle)}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes files into the working directory: `write(factory="...", base="...")`."""
    monkeypatch.chdir(tmp_path)

    def write_files(**texts: str) -> None:
        for name, text in texts.items():
            Path(f"{name}.yaml").write_text(text, encoding="utf-8")

    return write_files


GOOD = """\
factory: laptop
assets:
  documents:
    step: data.collect
    config: {source: python-docs}
  base:
    step: train.pretrain
    needs: [documents]
    config:
      steps: 50
      rate: 1e-3
    checks:
      - {metric: loss, max: 4.5}
      - metric: bits_per_byte
        not_above: model@champion
        by: 0.01
  second: {step: train.pretrain, needs: [documents]}
  quality:
    step: evaluate.compare
    needs: {corpus: documents, before: base, after: second}
release:
  - {alias: model@champion, asset: base, requires: [quality], reason: better}
serve: {model: model@champion, tiers: [exact]}
watch:
  - {every: "0 3 * * 1", rebuild: [base]}
  - {drift_of: quality, metric: loss, above: 0.2, rebuild: [documents]}
"""


@pytest.fixture
def good() -> str:
    return GOOD
