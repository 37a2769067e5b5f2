"""The ledger goes away and comes back: every request that was answered has its event, once."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tenfold.core.facts import AuditEntry, EnergyWindow, RequestEvent
from tenfold.errors import LedgerError
from tenfold.ledger import open_ledger
from tenfold.ledger.audit import first_broken
from tenfold.serve.gateway import recorder as recorder_module
from tenfold.serve.gateway import writer
from tenfold.serve.gateway.observed import observed


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What takes seconds in service takes parts of one here."""
    monkeypatch.setattr(writer, "WAIT_S", 0.4)
    monkeypatch.setattr(recorder_module, "SPOOL_AFTER_S", 0.4)
    monkeypatch.setattr(recorder_module, "STOP_S", 2.0)


def request(served, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def ask(served, text):
    """The id of an answer that has arrived."""
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], "temperature": 0}
    status, _, headers = request(served, "POST", "/v1/chat/completions", json.dumps(body))
    assert status == 200
    return headers["x-request-id"]


def health(served):
    status, body, _ = request(served, "GET", "/healthz")
    assert status == 200
    return json.loads(body)


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def check_books(ledger, ids):
    """Every event once, and energy that adds up: no window is missing and none is there twice."""
    events, windows = ledger.read(RequestEvent), ledger.read(EnergyWindow)
    assert sorted(event.id for event in events) == sorted(ids)
    assert sum(window.requests for window in windows) == len(ids)
    assert len({window.started_at_s for window in windows}) == len(windows)
    shares = math.fsum(event.joules for event in events)
    idle = math.fsum(window.idle_joules for window in windows)
    assert shares + idle == pytest.approx(math.fsum(window.joules for window in windows))


def check_deeds(ledger, count):
    entries = ledger.read(AuditEntry)
    assert [(entry.subject, entry.detail) for entry in entries] == [
        (f"tag {n}", {"n": n}) for n in range(count)
    ]
    assert first_broken(entries) is None


@contextlib.contextmanager
def held(path):
    """Another process's write transaction, as far as SQLite can tell."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_locked_ledger_is_waited_for_on_disk(serving, echo, tmp_path):
    path, spool = tmp_path / "ledger.db", tmp_path / "spool"
    ledger = open_ledger(str(path))
    with serving(echo, ledger=ledger, spool=spool, metering=observed()) as served:
        ids = [ask(served, f"{n % 7}") for n in range(20)]
        with held(path):
            ids += [ask(served, f"{n % 7}") for n in range(30)]
            recorder = served.gateway.recorder
            until(lambda: recorder.spool_bytes and recorder._held == 0)
            assert health(served)["status"] == "degraded"
            assert "cannot write events" in health(served)["ledger"]
            ids += [ask(served, f"{n % 7}") for n in range(30)]
        until(lambda: (recorder.settle(5), recorder.num_waiting == 0)[1])
        assert health(served)["status"] == "serving"
        assert "ledger" not in health(served)
    check_books(ledger, ids)
    assert list(spool.iterdir()) == []
    ledger.close()


def test_stopping_while_the_ledger_is_away_leaves_the_rest_for_the_next_start(
    serving, echo, tmp_path
):
    path, spool = tmp_path / "ledger.db", tmp_path / "spool"
    ledger = open_ledger(str(path))
    with held(path), serving(echo, ledger=ledger, spool=spool, metering=observed()) as served:
        ids = [ask(served, f"{n}") for n in range(10)]
        for n in range(3):
            served.gateway.recorder.audit("admin", "cache.purge", f"tag {n}", {"n": n})
        served.stop()
        assert ledger.read(RequestEvent) == []
    with serving(echo, ledger=ledger, spool=spool, metering=observed()) as served:
        ids.append(ask(served, "afterwards"))
    check_books(ledger, ids)
    check_deeds(ledger, 3)
    assert list(spool.iterdir()) == []
    ledger.close()


@pytest.mark.postgres
def test_postgres_stopped_and_started_in_the_middle_of_traffic(
    serving, echo, tmp_path, postgres, postgres_url
):
    ledger = open_ledger(postgres_url)
    ids, failures, ended = [], [], threading.Event()

    def traffic(served, name):
        try:
            n = 0
            while not ended.is_set():
                ids.append(ask(served, f"{name} {n % 50}"))
                n += 1
                time.sleep(0.002)
        except BaseException as error:
            failures.append(error)

    with serving(echo, ledger=ledger, spool=tmp_path / "s", metering=observed()) as served:
        threads = [threading.Thread(target=traffic, args=(served, n)) for n in range(2)]
        for thread in threads:
            thread.start()
        recorder = served.gateway.recorder
        try:
            until(lambda: recorder.num_written > 50)
            for _ in range(2):
                postgres.stop()
                try:
                    until(lambda: recorder.spool_bytes > 0)
                    assert health(served)["status"] == "degraded"
                    before = len(ids)
                    until(lambda before=before: len(ids) > before + 50)  # answers go on
                finally:
                    postgres.start()
                until(lambda: recorder.trouble is None and recorder.spool_bytes == 0)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert recorder.num_dropped == 0
    check_books(ledger, ids)
    ledger.close()


@pytest.mark.postgres
def test_a_postgres_that_hangs_holds_up_nothing(serving, echo, tmp_path, postgres_url):
    """Not gone, only silent: no error ever comes back from it."""
    ledger, spool = open_ledger(postgres_url), tmp_path / "s"
    with serving(echo, ledger=ledger, spool=spool, metering=observed()) as served:
        ids = [ask(served, "before")]
        served.gateway.recorder.settle(5)
        backend = ledger._connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            ids += [ask(served, f"{n}") for n in range(20)]
            until(lambda: served.gateway.recorder.trouble)
            assert health(served)["ledger"].startswith("the ledger does not answer")
            served.stop()
        finally:
            os.kill(backend, signal.SIGCONT)
    other = open_ledger(postgres_url)
    with serving(echo, ledger=other, spool=spool, metering=observed()) as served:
        ids.append(ask(served, "afterwards"))
    check_books(other, ids)
    other.close()
    ledger.close()


def test_a_write_whose_outcome_nobody_heard_of_is_not_counted_twice(serving, echo, ledger):
    class Deaf:
        """Every second write succeeds and is said to have failed."""

        num_calls = num_deeds = 0

        def audit(self, *deed):
            ledger.audit(*deed)
            self.num_deeds += 1
            if self.num_deeds % 2:
                raise LedgerError("the connection broke while committing")

        def __getattr__(self, name):
            return getattr(ledger, name)

        def append_columns(self, tables, *, wait_s=None):
            ledger.append_columns(tables, wait_s=wait_s)
            self.num_calls += 1
            if self.num_calls % 2:
                raise LedgerError("the connection broke while committing")

    with serving(echo, ledger=Deaf(), metering=observed()) as served:
        ids = []
        for n in range(5):
            ids.append(ask(served, f"{n}"))
            served.gateway.recorder.audit("admin", "cache.purge", f"tag {n}", {"n": n})
            served.gateway.recorder.settle(5)
    check_books(ledger, ids)
    check_deeds(ledger, 5)


def test_a_full_disk_under_the_ledger(serving, echo, tmp_path, small_disk):
    path = small_disk / "ledger.db"
    ledger = open_ledger(str(path))
    spool = tmp_path / "spool"
    with serving(echo, ledger=ledger, spool=spool, metering=observed()) as served:
        recorder = served.gateway.recorder
        ids = [ask(served, "before")]
        recorder.settle(5)
        stuffing = small_disk / "stuffing"
        with contextlib.suppress(OSError), stuffing.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        while not recorder.spool_bytes:
            ids.append(ask(served, f"{len(ids)}"))
        ids += [ask(served, f"{n}") for n in range(20)]
        stuffing.unlink()
        until(lambda: (recorder.settle(5), recorder.num_waiting == 0)[1])
    check_books(ledger, ids)
    ledger.close()


def test_both_disks_full_is_counted(serving, echo, tmp_path):
    path = tmp_path / "ledger.db"
    ledger = open_ledger(str(path))
    settings = {"spool": tmp_path / "spool", "spool_bytes": 3000, "queue_events": 10}
    with serving(echo, ledger=ledger, **settings) as served:
        recorder = served.gateway.recorder
        with held(path):
            ids = []
            while recorder.num_dropped < 5:
                ids.append(ask(served, "x"))
                time.sleep(0.02)  # half a flush: the spool is full before the queue is
            assert sum(os.path.getsize(file) for file in (tmp_path / "spool").iterdir()) <= 3100
            assert recorder.spool_bytes > 0
        until(lambda: (recorder.settle(5), recorder.num_waiting == 0)[1])
    assert len(ledger.read(RequestEvent)) + recorder.num_dropped == len(ids)
    ledger.close()


_CHILD = """
import sys, time
from pathlib import Path
from tenfold.ledger import open_ledger
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.spool import Spool
recorder = Recorder(open_ledger(sys.argv[1]), source="live", max_events=10**6, flush_s=0.05,
                    refresh=lambda ledger: None, refresh_s=60, open_book=None,
                    spool=Spool(Path(sys.argv[2]), 10**8))
recorder.start()
print("started", flush=True)
for number in range(10**6):
    exchange = Exchange("/v1/chat/completions", time.time(), time.monotonic())
    exchange.id = f"id-{number}"
    recorder.end(exchange)
    if number % 100 == 99:
        while not recorder.spool_bytes or recorder._queue or recorder._writer.num_events:
            time.sleep(0.005)
        print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_flushed(tmp_path):
    path, spool = tmp_path / "ledger.db", tmp_path / "spool"
    open_ledger(str(path)).close()
    with held(path):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(path), str(spool)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "started\n"
        flushed = [int(child.stdout.readline()) for _ in range(5)]
        os.kill(child.pid, signal.SIGKILL)
        flushed += [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait()
        child.stdout.close()
    # It may be killed again at any moment of writing it back.
    copy = tmp_path / "copy"
    shutil.copytree(spool, copy)
    for folder in (spool, copy):
        run = f"""
import sys
from pathlib import Path
from tenfold.ledger import open_ledger
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.spool import Spool
recorder = Recorder(open_ledger({str(path)!r}), source="live", max_events=10, flush_s=1,
                    refresh=lambda ledger: None, refresh_s=60, open_book=None,
                    spool=Spool(Path({str(folder)!r}), 10**8))
recorder.start()
recorder.stop()
"""
        subprocess.run([sys.executable, "-c", run], check=True, timeout=30)
        ledger = open_ledger(str(path))
        found = sorted(int(event.id[3:]) for event in ledger.read(RequestEvent))
        ledger.close()
        assert found == list(range(len(found)))
        assert len(found) > max(flushed)
        assert list(folder.iterdir()) == []
