"""Leases among threads, processes and the dead."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from tenfold.core.place import here
from tenfold.engines.clock import SystemClock
from tenfold.engines.lease import Interrupted, Leases, describe, is_dead, process_alive
from tenfold.ledger.sqlite import SqliteLedger


@pytest.fixture
def ledger(tmp_path: Path):
    opened = SqliteLedger(tmp_path / "l.db")
    yield opened
    opened.close()


def leases(ledger: SqliteLedger, ttl_s: float = 30.0) -> Leases:
    return Leases(ledger, SystemClock(), ttl_s)


def holder(ledger: SqliteLedger, key: str) -> str | None:
    with ledger.transaction(write=False) as cursor:
        cursor.execute("SELECT owner FROM leases WHERE key = ?", (key,))
        row = cursor.fetchone()
    return row[0] if row else None


def test_threads_of_one_process_exclude_each_other(ledger: SqliteLedger) -> None:
    mine = leases(ledger)
    inside, seen = [0], [0]
    waited: list[str] = []

    def work() -> None:
        with mine.hold("k", waited.append):
            inside[0] += 1
            assert inside[0] == 1
            time.sleep(0.02)
            inside[0] -= 1
            seen[0] += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3]
    assert waited
    assert holder(ledger, "k") is None


def test_a_lease_is_kept_alive_while_it_is_held_and_then_gone(ledger: SqliteLedger) -> None:
    mine, yours = leases(ledger, ttl_s=0.3), leases(ledger, ttl_s=0.3)
    with mine.hold("k", lambda who: None):
        for _ in range(20):  # other work comes and goes and must not keep the heart from beating
            with mine.hold("other", lambda who: None):
                time.sleep(0.03)
            assert yours._acquire("k") == mine.owner
    assert holder(ledger, "k") is None
    time.sleep(0.2)
    assert holder(ledger, "k") is None  # no late renewal brings it back
    assert [t for t in threading.enumerate() if t.name == "leases"] == []


def test_one_that_is_not_renewed_runs_out(ledger: SqliteLedger) -> None:
    ledger.acquire("k", "elsewhere:1:2:3", 0.2, SystemClock().now())
    told: list[str] = []
    with leases(ledger).hold("k", told.append):
        assert told == ["process 1 on elsewhere"]


def test_waiting_can_be_interrupted(ledger: SqliteLedger) -> None:
    ledger.acquire("k", "elsewhere:1:2:3", 1000, SystemClock().now())
    stopping = threading.Event()
    with pytest.raises(Interrupted), leases(ledger).hold("k", lambda who: stopping.set(), stopping):
        pass
    assert holder(ledger, "k") == "elsewhere:1:2:3"


def test_the_dead_hold_nothing(ledger: SqliteLedger) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    while (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())[0] != "Z":
        time.sleep(0.001)
    place, host = here(), socket.gethostname()
    assert is_dead(f"{place}:{pid}:12345:x")  # a zombie
    os.waitpid(pid, 0)
    assert is_dead(f"{place}:{pid}:12345:x")
    assert is_dead(f"{place}:{os.getpid()}:1:x")  # our process id, but born at another time
    assert not is_dead(leases(ledger).owner)
    assert not is_dead(f"elsewhere:{pid}:12345:x")  # who knows?
    assert not is_dead(f"{host}~00000000:{pid}:12345:x")  # the same name, but other process ids
    assert not is_dead("odd")
    assert not process_alive(pid)
    assert process_alive(1)
    assert describe(f"{place}:{pid}:12345:x") == f"process {pid} on {host}"
