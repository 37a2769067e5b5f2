"""Opening: newer schemas, broken files, places that cannot be written, servers that go away."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tenfold.core.facts import Event
from tenfold.errors import LedgerError, StoreFull, StoreTooNew, UsageError
from tenfold.ledger import open_ledger
from tenfold.ledger.memory import MemoryLedger
from tenfold.ledger.sqlite import SqliteLedger
from tenfold.ledger.tables import SCHEMA_VERSION


def event(size: int = 1) -> Event:
    return Event(run_id="r", asset="a", event="e", fields={"x": "x" * size})


def test_ledgers_by_url(tmp_path: Path) -> None:
    for url, kind in (
        ("memory:", MemoryLedger),
        (str(tmp_path / "deep" / "a.db"), SqliteLedger),
        (f"sqlite:///{tmp_path}/b.db", SqliteLedger),
    ):
        ledger = open_ledger(url)
        assert type(ledger) is kind
        ledger.close()
    assert (tmp_path / "b.db").exists()
    with pytest.raises(UsageError, match="'mysql'") as caught:
        open_ledger("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_reopening_keeps_everything(tmp_path: Path) -> None:
    for count in range(3):
        ledger = SqliteLedger(tmp_path / "l.db")
        assert len(ledger.read(Event)) == count
        ledger.append([event()])
        ledger.close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    SqliteLedger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreTooNew, match=f"its schema is {SCHEMA_VERSION + 1}") as caught:
        SqliteLedger(path)
    assert "pip install -U tenfold" in str(caught.value)


@pytest.mark.postgres
def test_a_newer_schema_on_postgres(postgres_url: str) -> None:
    ledger = open_ledger(postgres_url)
    with ledger.transaction() as cursor:
        cursor.execute("INSERT INTO tenfold_schema VALUES (?)", (SCHEMA_VERSION + 1,))
    ledger.close()
    with pytest.raises(StoreTooNew, match="its schema is"):
        open_ledger(postgres_url)


@pytest.mark.postgres
def test_a_connection_that_was_cut_is_made_anew(postgres_url: str) -> None:
    ledger, other = open_ledger(postgres_url), open_ledger(postgres_url)
    ledger.append([event()])
    with other.transaction() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    ledger.append([event()])
    assert len(ledger.read(Event)) == 2
    ledger.close()
    other.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match="is the server up") as caught:
        open_ledger(f"postgresql://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"\0" * 4096])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        SqliteLedger(path)
    assert caught.value.where == str(path)
    assert "restore it from a backup" in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_broken_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    ledger = SqliteLedger(path)
    ledger.append([event(3000) for _ in range(100)])
    ledger.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(data)

    def look() -> None:
        with contextlib.closing(SqliteLedger(path)) as ledger:
            ledger.read(Event)

    with pytest.raises(LedgerError, match="restore it from a backup"):
        look()


def test_places_that_cannot_be_written(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LedgerError):
        SqliteLedger(tmp_path / "file" / "l.db")
    with pytest.raises(LedgerError):
        SqliteLedger(tmp_path)  # a folder
    SqliteLedger(small_disk / "l.db").close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(LedgerError, match="may be written"):
        SqliteLedger(small_disk / "new.db")
    with pytest.raises(LedgerError, match="may be written"):
        SqliteLedger(small_disk / "l.db").append([event()])


def test_a_full_disk_is_said_and_leaves_what_was_there(small_disk: Path) -> None:
    ledger = SqliteLedger(small_disk / "l.db")
    ledger.append([event()])
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 3_000_000)

    def fill() -> None:
        for _ in range(100):
            ledger.append([event(100_000)])

    with pytest.raises(StoreFull, match="the disk is full"):
        fill()
    written = len(ledger.read(Event))
    assert written >= 1
    ballast.unlink()
    ledger.append([event(100_000)])  # room again: the same connection goes on
    assert len(ledger.read(Event)) == written + 1
    ledger.close()
    again = SqliteLedger(small_disk / "l.db")
    assert len(again.read(Event)) == written + 1
    again.close()


def test_a_file_that_goes_away_is_noticed_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "l.db"
    ledger = SqliteLedger(path)
    ledger.append([event()])
    (tmp_path / "here").rename(tmp_path / "aside")  # the write-ahead log goes with it
    with pytest.raises(LedgerError, match="removed or replaced"):
        ledger.append([event()])
    (tmp_path / "aside").rename(tmp_path / "here")
    ledger.append([event()])
    ledger.close()
    reopened = SqliteLedger(path)
    assert len(reopened.read(Event)) == 2
    reopened.close()


def test_a_file_that_was_replaced_is_not_written_past(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    ledger = SqliteLedger(tmp_path / "here" / "l.db")
    (tmp_path / "here").rename(tmp_path / "aside")
    other = SqliteLedger(tmp_path / "here" / "l.db")
    with pytest.raises(LedgerError, match="removed or replaced"):
        ledger.read(Event)
    ledger.close()
    other.append([event()])
    assert len(other.read(Event)) == 1
    other.close()
