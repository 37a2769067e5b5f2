"""Benches keep their shape, and the one that counts redone steps does count them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"


def test_the_last_line_is_one_object_of_the_agreed_shape():
    done = subprocess.run(
        [sys.executable, BENCH / "floor.py", "--quick", "--json", "--only", "command-line"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == {"name", "date", "machine", "versions", "figures"}
    assert result["name"] == "floor"
    assert {"help_cpu_ms", "help_rss_mb", "import_tenfold_ms"} <= set(result["figures"])
    for figure in result["figures"].values():
        assert set(figure) == {"value", "unit", "n", "low", "high", "peer", "method"}
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_the_crash_bench_sees_a_step_that_ran_twice_and_a_blob_that_broke(tmp_path):
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import crash
folder = Path(sys.argv[2])
with crash.factory(folder, "chain") as opened:
    assert opened.run().ok
    assert crash._inspect(folder, "chain") == 0
    assert opened.run("step19", force=True).ok
    assert crash._inspect(folder, "chain") == 1
    ref, _ = next(iter(opened.blobs.listing()))
    path = opened.blobs.path(ref.sha256)
path.chmod(0o644)
path.write_bytes(b"x" * ref.num_bytes)
try:
    crash._inspect(folder, "chain")
except RuntimeError as error:
    print(error)
else:
    sys.exit("a broken blob was not seen")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, BENCH, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "blob" in done.stdout
