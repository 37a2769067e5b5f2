"""`tenfold erase` on a real factory file."""

from __future__ import annotations

import json
import subprocess
import sys


def tenfold(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "tenfold", *words], cwd=folder, capture_output=True, text=True
    )


def test_erases_says_so_and_verifies(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text(
        "Anna Berg lives in Ulm, mail anna.berg@web.de, and likes it. " * 8
    )
    (texts / "b.txt").write_text("Somebody else likes the other bank of the river much more. " * 8)
    (tmp_path / "factory.yaml").write_text(
        "factory: town\n"
        "assets:\n"
        "  raw: {step: data.collect, config: {source: paths, paths: ['texts/*.txt'], licence: CC0-1.0}}\n"
    )
    made = tenfold(tmp_path, "run")
    assert made.returncode == 0, made.stdout + made.stderr
    (tmp_path / "who.txt").write_text("# by request 7\nname: Anna Berg\nanna.berg@web.de\n")
    done = tenfold(tmp_path, "erase", "--from", "who.txt", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    certificate = json.loads(done.stdout)
    assert certificate["left"] == {}
    assert [row["asset"] for row in certificate["rewritten"]] == ["raw"]
    assert "anna" not in done.stdout.lower()
    checked = tenfold(tmp_path, "erase", "--verify", certificate["file"])
    assert (checked.returncode, checked.stdout) == (0, "the certificate holds\n")
    assert tenfold(tmp_path, "erase").returncode == 2
