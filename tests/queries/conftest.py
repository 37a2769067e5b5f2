"""The past that the queries are asked about."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries


@pytest.fixture(scope="session")
def history() -> ModuleType:
    name = "tenfold_test_history"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("history.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def past(history: ModuleType) -> Any:
    """(ledger, what was written, queries) at a fixed time."""
    ledger = MemoryLedger()
    written = history.write(ledger)
    yield ledger, written, Queries(ledger, now=lambda: history.NOW_S)
    ledger.close()
