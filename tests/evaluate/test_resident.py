from __future__ import annotations

import sys

import pytest

from tenfold.evaluate.resident import resident_bytes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_what_is_held_is_seen_and_what_is_freed_is_not():
    before = resident_bytes()
    if before is None:
        pytest.skip("this C library does not give memory back")
    held = [bytes([n]) * 1000 for n in range(256) for _ in range(120)]  # 30 MB in small pieces
    during = resident_bytes()
    del held
    after = resident_bytes()
    assert during - before > 25e6
    assert after - before < 15e6
