"""Every ledger, for one conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenfold.core.asset import FileRef, Manifest
from tenfold.core.facts import StepResult
from tenfold.ledger import open_ledger
from tenfold.ledger.sql import SqlLedger

_POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)


@pytest.fixture(params=["memory", "sqlite", _POSTGRES])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = {"memory": "memory:", "sqlite": str(tmp_path / "ledger.db")}[request.param]
    opened = open_ledger(url)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", _POSTGRES])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger that several processes can open."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return str(tmp_path / "ledger.db")


@pytest.fixture
def make_result() -> Callable[..., StepResult]:
    def make(key: str = "k", **changes: object) -> StepResult:
        given: dict = {
            "key": key,
            "factory": "f",
            "asset": "a",
            "step": "s",
            "version": "1",
            "config": {"n": 1},
            "inputs": (("raw", "d0"),),
            "output": Manifest("model", {"x": FileRef("ab" * 32, 3)}, {"key": key}),
            "run_id": "r",
            "finished_at_s": 1.0,
        }
        return StepResult(**(given | changes))

    return make
