"""`durable_events`: an event that ended outlives a kill, whatever had been flushed."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from tenfold.core.facts import RequestEvent
from tenfold.errors import ConfigError, StoreError
from tenfold.ledger import open_ledger
from tenfold.serve.gateway import journal as journal_module
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.journal import Journal, estates
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.spool import Spool

_CHILD = """
import sys, time
from pathlib import Path
from tenfold.ledger import open_ledger
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.spool import Spool
recorder = Recorder(open_ledger(sys.argv[1]), source="live", max_events=10**6,
                    flush_s=float(sys.argv[3]), refresh=lambda ledger: None, refresh_s=60,
                    open_book=None, spool=Spool(Path(sys.argv[2]), 10**8), durable=True)
recorder.start()
for number in range(10**6):
    exchange = Exchange("/v1/chat/completions", 12.5, time.monotonic(), id=f"id-{number}",
                        tenant="t", model="m", status=200, error='"quoted" \\0 error')
    recorder.end(exchange)
    print(number, flush=True)
"""


@pytest.mark.parametrize("flush_s", [60, 0.002])
def test_a_killed_process_takes_nothing_along(tmp_path, flush_s):
    path, folder = str(tmp_path / "ledger.db"), tmp_path / "spool"
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, path, str(folder), str(flush_s)],
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [child.stdout.readline() for _ in range(3000)]
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    last = max(int(line) for line in said if line.endswith("\n"))
    recorder, ledger = begun(path, folder)
    recorder.stop()
    found = {int(event.id[3:]): event for event in ledger.read(RequestEvent)}
    ledger.close()
    assert sorted(found) in (list(range(last + 1)), list(range(last + 2)))
    one = dataclasses.replace(found[last], seq=0, id="", latency_ms=0.0)
    assert one == RequestEvent(
        id="", at_s=12.5, tenant="t", key_name="", endpoint="/v1/chat/completions", model="m",
        model_digest="", backend="", tier="refused", status=200,
        error='"quoted" \ufffd error',
    )  # fmt: skip
    assert list(folder.iterdir()) == []


def begun(path, folder):
    ledger = open_ledger(path)
    recorder = Recorder(
        ledger, source="live", max_events=1000, flush_s=60, refresh=lambda ledger: None,
        refresh_s=60, open_book=None, spool=Spool(folder, 10**8), durable=True,
    )  # fmt: skip
    recorder.start()
    return recorder, ledger


def finished(number):
    return Exchange("/v1/x", 0.0, 0.0, id=f"id-{number}", status=200)


def test_a_living_ones_journal_is_left_alone_and_an_end_leaves_nothing(tmp_path):
    recorder, ledger = begun(str(tmp_path / "ledger.db"), tmp_path / "s")
    for number in range(10):
        recorder.end(finished(number))
        if number == 5:
            recorder.settle(5)
            assert estates(tmp_path / "s") == []
    recorder.stop()
    assert len(ledger.read(RequestEvent)) == 10
    assert list((tmp_path / "s").iterdir()) == []
    ledger.close()


def test_turns_are_not_mixed_up(tmp_path):
    """What was cleared does not come back, however the next turn's records lie over the last one's."""
    journal = Journal(tmp_path)
    for round in range(6):
        for number in range(20 - 3 * round):
            journal.note(finished(f"{round}-{number}"))
        turn = journal.turn_over()
        assert journal.turn_over() is None  # the other is not cleared yet
        journal.note(finished(f"{round}-late"))
        turn.clear()
        late = journal.turn_over()
        late.clear()
    journal.note(finished("last"))
    for file in tmp_path.iterdir():  # as a killed process leaves them: nobody holds the lock
        (tmp_path / "left").mkdir(exist_ok=True)
        (tmp_path / "left" / file.name).write_bytes(file.read_bytes()) if file.is_file() else None
    left = estates(tmp_path / "left")
    assert [exchange.id for estate in left for exchange in estate.exchanges] == ["id-last"]
    journal.remove()


def test_files_of_another_make_are_left_alone(tmp_path):
    foreign = tmp_path / "x.journal"
    foreign.write_bytes(b"tenfold journal 9\n" + bytes(100))
    assert estates(tmp_path) == []
    assert foreign.exists()


def test_a_full_journal_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "_BYTES", 4096)
    journal = Journal(tmp_path)
    for number in range(100):
        journal.note(finished(number))
    assert 50 < journal.num_unnoted < 100
    journal.remove()


def test_it_needs_a_folder(tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(StoreError, match="noted"):
        begun(str(tmp_path / "ledger.db"), tmp_path / "a file" / "s")
    with pytest.raises(ConfigError, match="spool"):
        GatewayConfig(durable_events=True)
