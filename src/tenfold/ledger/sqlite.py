"""The ledger in a SQLite file: write-ahead log, full synchronisation, one writer at a time.

One connection, guarded by a lock, so that threads of a process may share it; processes share the file.
Not for network disks: SQLite's locks do not hold there (use Postgres).
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tenfold.errors import FactRefused, LedgerError, StoreFull, StoreTooNew
from tenfold.ledger.sql import SqlLedger, insert_head
from tenfold.ledger.tables import MIGRATIONS, SCHEMA_VERSION, TABLES, codec

_BUSY_TIMEOUT_S = 30.0
_ROWS = 200
"""Rows per statement of a mass insert: times the widest table, well under SQLite's 32,766 parameters."""
_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError)


class SqliteLedger(SqlLedger):
    """Raises LedgerError, StoreTooNew on opening."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._lock = threading.RLock()
        with self._explained():
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,  # transactions are ours to open
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                self._connection.create_function("FLOOR", 1, math.floor, deterministic=True)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._file = self._identity()
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    @contextlib.contextmanager
    def transaction(
        self, *, write: bool = True, wait_s: float | None = None
    ) -> Iterator[sqlite3.Cursor]:
        with self._lock, self._explained():
            self._check_in_place()
            cursor = self._connection.cursor()
            if not write:
                yield cursor
                return
            try:
                if wait_s is None:
                    cursor.execute("BEGIN IMMEDIATE")
                else:
                    self._begin_within(cursor, wait_s)
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def insert_columns(
        self, cursor: sqlite3.Cursor, kind: type, columns: Sequence[Sequence[Any]]
    ) -> None:
        """Hundreds of rows per statement, and no None or bool among the values: the driver asks every
        one of those whether it would like to be adapted, which costs more than storing it."""
        num_rows, width = len(columns[0]), len(columns)
        values: list[Any] = [None] * (num_rows * width)
        kinds = codec(kind).kinds
        for index, (name, column) in enumerate(zip(codec(kind).columns, columns, strict=True)):
            values[index::width] = _bindable(column, kinds[name])
        row = 0
        for size in (_ROWS, _ROWS // 10, 1):
            sql = _many_sql(kind, size)
            while num_rows - row >= size:
                cursor.execute(sql, values[row * width : (row + size) * width])
                row += size

    def compact(self) -> bool:
        """Pages are written anew (VACUUM) and the log is emptied: a removed row leaves no byte behind."""
        with self._lock, self._explained():
            self._check_in_place()
            self._connection.execute("VACUUM")
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _begin_within(self, cursor: sqlite3.Cursor, wait_s: float) -> None:
        cursor.execute(f"PRAGMA busy_timeout = {max(0, int(wait_s * 1e3))}")
        try:
            cursor.execute("BEGIN IMMEDIATE")
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT_S * 1e3)}")

    def _check_in_place(self) -> None:
        """SQLite writes on without a word when its file was removed, and all of it would be lost.

        Reopening would be no cure: a new, empty ledger is not the one that went, and what replaced it may
        be in use by others. When the file is moved back, work goes on.
        """
        if self._identity() != self._file:
            raise LedgerError(
                "the ledger's file was removed or replaced while it was in use",
                where=self.path,
                hint="put it back, or start again to use what is there now",
            )

    def _identity(self) -> tuple[int, int] | None:
        """Device and number of the file that the path names now; None without one."""
        if self.path == ":memory:":
            return None
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino

    def _migrate(self) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StoreTooNew(
                f"the ledger was made by a newer tenfold: its schema is {found}, this one knows"
                f" {SCHEMA_VERSION}",
                where=self.path,
                hint="pip install -U tenfold",
            )
        if found == SCHEMA_VERSION:
            return
        with self.transaction() as cursor:
            found = cursor.execute("PRAGMA user_version").fetchone()[
                0
            ]  # another process was first?
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version].split(";"):
                    cursor.execute(statement.format(seq="INTEGER PRIMARY KEY AUTOINCREMENT"))
                cursor.execute(f"PRAGMA user_version = {version}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as error:
            raise FactRefused(f"the ledger cannot hold it: {error}", where=self.path) from error
        except sqlite3.Error as error:
            text = str(error)
            if isinstance(error, _REFUSED):
                raise FactRefused(f"the ledger cannot hold it: {text}", where=self.path) from error
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise StoreFull(
                    "the disk is full",
                    where=self.path,
                    hint="free some space; what was committed before is intact",
                ) from error
            hint = "check that the folder exists and may be written"
            if "locked" in text:
                hint = "another process holds it for long; is it on a network disk?"
            elif "malformed" in text or "not a database" in text:
                hint = (
                    "the file is not a ledger; restore it from a backup or set `ledger:` to another"
                )
            raise LedgerError(f"the ledger failed: {text}", where=self.path, hint=hint) from error
        except OSError as error:
            raise LedgerError(
                "the ledger cannot be opened", where=self.path, seen=error.strerror
            ) from error


_NO_TEXT = "\0"
"""Stands for no text on its way into the database; real text never holds a NUL (`storable`)."""


def _bindable(column: Sequence[Any], kinds: frozenset[type]) -> Sequence[Any]:
    if bool in kinds:
        return [1 if value else 0 for value in column]
    if type(None) not in kinds:
        return column
    if str in kinds:
        return [_NO_TEXT if value is None else value for value in column]
    if float in kinds:
        return [math.nan if value is None else value for value in column]  # stored as NULL
    return column


@cache
def _many_sql(kind: Any, num_rows: int) -> str:
    kinds = codec(kind).kinds
    marks = [
        "NULLIF(?, char(0))" if {str, type(None)} <= kinds[name] else "?"
        for name in codec(kind).columns
    ]
    rows = ", ".join([f"({', '.join(marks)})"] * num_rows)
    return f"{insert_head(kind)} VALUES {rows} {TABLES[kind].conflict}"
