"""Real factories in processes of their own: any number of workers, kill -9, a disk that fills up.

The digest of the last snapshot covers every byte of it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def begin(store: Path, cores: int, seconds: float) -> subprocess.Popen[str]:
    """A factory at work; each segment takes `seconds`."""
    said = {"SAID": str(store.parent / "said"), "SAYING_S": str(seconds)}
    return subprocess.Popen(
        [sys.executable, HERE / "refinery.py", store, str(cores)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **said},
    )  # fmt: skip


def digest(store: Path, cores: int, seconds: float = 0.0) -> str:
    said, complaint = begin(store, cores, seconds).communicate(timeout=60)
    assert len(said.strip()) == 64, complaint
    return said.strip()


def segments(store: Path) -> list[str]:
    """Every segment that was worked on, as often as it was."""
    log = store.parent / "said"
    return log.read_text().split() if log.exists() else []


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[str, int]:
    """Digest of the last snapshot and number of segments, made by one worker and never disturbed."""
    store = tmp_path_factory.mktemp("alone") / "store"
    return digest(store, 1), len(segments(store))


@pytest.mark.parametrize("cores", [2, 8])
def test_the_number_of_workers_changes_no_byte(cores, alone, tmp_path):
    assert digest(tmp_path / "store", cores) == alone[0]
    assert len(segments(tmp_path / "store")) == alone[1] > 10


def test_kills_at_random_moments_redo_at_most_a_segment_per_worker(alone, tmp_path):
    draw, store, kills, cores = random.Random(4), tmp_path / "store", 2, 2
    for _ in range(kills):
        before = len(segments(store))
        child = begin(store, cores, 0.1)
        until = time.monotonic() + 30
        while len(segments(store)) < before + 2 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.2))
        child.kill()
        child.communicate()
    assert digest(store, cores) == alone[0]
    seen = segments(store)
    assert len(set(seen)) == alone[1]
    assert len(seen) - len(set(seen)) <= kills * cores


def test_a_disk_that_fills_up_in_mid_segment(alone, tmp_path, small_disk):
    """There is room for the records, but not for all of them once more."""
    store = small_disk / "store"
    child = begin(store, 1, 0.0)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "StoreFull" in said
    assert "free some space and run again" in said
    before = segments(store)
    assert 1 < len(before) < alone[1]
    assert [path.name for path in store.rglob("*.half")] == []
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    assert digest(store, 1) == alone[0]
    assert set(segments(store)[len(before) :]) & set(before) <= {before[-1]}
