"""Several real processes on one ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tenfold.core.facts import AliasMove, AuditEntry, Event
from tenfold.ledger import open_ledger
from tenfold.ledger.audit import first_broken

_CHILD = """
import sys, time
from pathlib import Path
from tenfold.core.facts import AliasMove, Event
from tenfold.errors import AliasConflict
from tenfold.ledger import open_ledger
url, number, gate = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
ledger = open_ledger(url)
print("ready", flush=True)
while not gate.exists():
    time.sleep(0.002)
for turn in range(10):
    digest = f"{turn}-{number}"
    current = ledger.alias(f"m@turn{turn}")
    move = AliasMove(alias=f"m@turn{turn}", digest=digest, previous=None, asset="a", key="k",
                     actor=str(number), reason="", at_s=0.0)
    try:
        ledger.move_alias(move, None)
        print("won", turn, number)
    except AliasConflict:
        pass
    ledger.audit(str(number), "deed", "x", {"turn": turn}, 0.0)
    if ledger.acquire(f"lease{turn}", str(number), 60, 0.0) is None:
        print("lease", turn, number)
    ledger.append([Event(run_id="r", asset="a", event="e", fields={"n": [number, turn]})])
ledger.close()
"""


def run_children(url: str, gate: Path, count: int) -> list[list[str]]:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, url, str(n), str(gate)],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    gate.touch()
    outputs = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * count
    return [line.split() for output in outputs for line in output.splitlines()]


def test_of_many_at_once_exactly_one_wins(shared_url: str, tmp_path: Path) -> None:
    """They open (and migrate) the same empty ledger at once, too."""
    count = 4
    lines = run_children(shared_url, tmp_path / "gate", count)
    for word in ("won", "lease"):
        assert sorted(int(line[1]) for line in lines if line[0] == word) == list(range(10))
    ledger = open_ledger(shared_url)
    moves = ledger.read(AliasMove)
    won = {(line[1], line[2]) for line in lines if line[0] == "won"}
    assert {tuple(str(m.digest).split("-")) for m in moves} == won
    entries = ledger.read(AuditEntry)
    assert len(entries) == count * 10 + 10  # the moves are deeds as well
    assert first_broken(entries) is None
    assert len(ledger.read(Event)) == count * 10
    ledger.close()
