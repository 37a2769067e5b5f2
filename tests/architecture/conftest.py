from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources(root: Path) -> list[Path]:
    """Every Python file of the package."""
    found = sorted((root / "src" / "tenfold").rglob("*.py"))
    assert len(found) > 50
    return found
