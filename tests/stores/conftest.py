"""Every store, for one conformance suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.core.ports import Blobs
from tenfold.stores.local import LocalBlobs
from tenfold.stores.memory import MemoryBlobs


@pytest.fixture(params=["local", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return LocalBlobs(tmp_path / "store") if request.param == "local" else MemoryBlobs()
