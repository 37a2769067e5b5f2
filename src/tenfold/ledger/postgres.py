"""The ledger on Postgres, for several hosts. Needs the `postgres` extra.

One connection guarded by a lock, reconnected once when it has gone away between transactions. Writers
of an alias or the audit chain are put in order by an advisory lock, as SQLite does with its single
writer; a lost race would otherwise surface as a constraint error.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from tenfold.errors import FactRefused, LedgerError, StoreFull, StoreTooNew
from tenfold.ledger.sql import SqlLedger, insert_head
from tenfold.ledger.tables import MIGRATIONS, SCHEMA_VERSION, TABLES, codec
from tenfold.need import need

_WRITER_LOCK = 7_306_578_411
"""Any constant: the advisory lock that stands for SQLite's single writer."""


class PostgresLedger(SqlLedger):
    def __init__(self, url: str) -> None:
        self._psycopg = need("psycopg", extra="postgres", why="to keep the ledger on Postgres")
        self._url = url
        parts = urlsplit(url)
        self.path = f"postgresql://{parts.hostname or 'localhost'}{parts.path}"
        self._lock = threading.RLock()
        with self._explained():
            self._connection = self._connect()
            try:
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True, wait_s: float | None = None) -> Iterator[_Cursor]:
        with self._lock, self._explained(), self._begin() as connection:
            cursor = connection.cursor()
            if wait_s is not None:
                cursor.execute(
                    "SELECT set_config('lock_timeout', %s, true)", (f"{max(1, int(wait_s * 1e3))}",)
                )
            if write:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITER_LOCK,))
            yield _Cursor(cursor)

    def insert_columns(self, cursor: _Cursor, kind: type, columns: Sequence[Sequence[Any]]) -> None:
        """One statement with one array per column: the server takes it in at C speed, and the driver
        is handed text that needs no conversion per value."""
        cursor.execute(_unnest_sql(kind), [array_literal(column) for column in columns])

    def close(self) -> None:
        # A thread that hangs on a server that does not answer has the lock; it ends with the process.
        if self._lock.acquire(timeout=1.0):
            try:
                self._connection.close()
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Any]:
        """A transaction. A connection that turns out dead on BEGIN (the server was restarted) is made
        anew, once: nothing has been written on it yet."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._connection.transaction())
            except self._psycopg.OperationalError:
                self._connection.close()
                self._connection = self._connect()
                stack.enter_context(self._connection.transaction())
            yield self._connection

    def _connect(self) -> Any:
        connection = self._psycopg.connect(self._url, autocommit=True, connect_timeout=10)
        connection.prepare_threshold = 2
        # Stricter levels look at the tables before the writers' lock is theirs, and would then miss
        # what the writer before them did; they may be a server's default.
        connection.isolation_level = self._psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _migrate(self) -> None:
        with self.transaction() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS tenfold_schema (version BIGINT NOT NULL)")
            cursor.execute("SELECT MAX(version) FROM tenfold_schema")
            found = cursor.fetchone()[0] or 0
            if found > SCHEMA_VERSION:
                raise StoreTooNew(
                    f"the ledger was made by a newer tenfold: its schema is {found}, this one knows"
                    f" {SCHEMA_VERSION}",
                    where=self.path,
                    hint="pip install -U tenfold",
                )
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version].split(";"):
                    cursor.execute(statement.format(seq="BIGSERIAL PRIMARY KEY"))
                cursor.execute("INSERT INTO tenfold_schema VALUES (?)", (version,))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (self._psycopg.IntegrityError, self._psycopg.DataError) as error:
            raise FactRefused(
                f"the ledger cannot hold it: {str(error).strip()}", where=self.path
            ) from error
        except self._psycopg.errors.DiskFull as error:
            raise StoreFull("the database's disk is full", where=self.path) from error
        except self._psycopg.Error as error:
            raise LedgerError(
                f"the ledger failed: {str(error).strip()}",
                where=self.path,
                hint="is the server up, and may this user create tables?",
            ) from error


_TYPES = {str: "text", int: "bigint", float: "double precision", bool: "boolean"}
_ESCAPED = re.compile(r'(["\\])')


@cache
def _unnest_sql(kind: Any) -> str:
    kinds = codec(kind).kinds
    types = [
        next((name for plain, name in _TYPES.items() if plain in kinds[column]), "text")
        for column in codec(kind).columns
    ]
    arrays = ", ".join(f"?::text::{name}[]" for name in types)
    return f"{insert_head(kind)} SELECT * FROM unnest({arrays}) {TABLES[kind].conflict}"


def array_literal(column: Sequence[Any]) -> str:
    """A column as PostgreSQL writes an array: `{1,NULL,"text with \\"quotes\\""}`."""
    return "{" + ",".join([_element(value) for value in column]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if '"' in value or "\\" in value:
            value = _ESCAPED.sub(r"\\\1", value)
        return f'"{value}"'
    return repr(value)


class _Cursor:
    """Speaks the `?` of our SQL to a driver that wants `%s`. Our SQL has no literal of either."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        return self._cursor.execute(sql.replace("?", "%s"), list(parameters) or None)

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Any:
        return self._cursor.executemany(sql.replace("?", "%s"), parameters)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()
