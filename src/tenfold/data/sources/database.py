"""Tables and queries of SQL databases: SQLite, PostgreSQL, DuckDB. Read only, streamed, incremental.

With `since`, a reading asks for rows whose column is at least the last value seen and leaves out those it
had; a row that is committed late with a smaller value is missed, as with every such column.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import sqlite3
import sys
import urllib.parse
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import xxhash

from tenfold.data.sources.connector import Item, Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.keys import Keys
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.packing import Packer, as_json
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.trust import check
from tenfold.errors import ConfigError, InputError, MissingExtra
from tenfold.need import need

_SCHEMES = ("sqlite", "postgresql", "postgres", "duckdb")
_FETCHED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`kind: sql`. Places: `table:key`, or `table#row=7` without a key."""

    url: str
    """`sqlite:///file.db`, `duckdb:///file.db` or `postgresql://user@host/database`, without password."""
    licence: str
    name: str = ""
    """Default: the database and the table."""
    authority: float = 0.5
    half_life_days: float | None = None
    table: str | None = None
    query: str | None = None
    """A SELECT, instead of a table."""
    since: str | None = None
    """A column that only grows (a serial number, a time of change): only newer rows are read again."""
    key: str | None = None
    """A column that names the row; a second row of the same key is quarantined."""
    modality: Literal["text", "row"] = "row"
    text_field: str = "text"
    time_field: str | None = None
    licence_field: str | None = None
    columns: Mapping[str, str] | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)
    directory: str = dataclasses.field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in _SCHEMES:
            raise ConfigError(
                "not a database this reads",
                where="url",
                seen=parts.scheme,
                hint="sqlite:///file.db, duckdb:///file.db or postgresql://user@host/database",
            )
        if parts.password or "password" in urllib.parse.parse_qs(parts.query):
            raise ConfigError(
                "a password does not belong in a factory file",
                where="url",
                hint="PostgreSQL's client reads ~/.pgpass and the variable PGPASSWORD",
            )
        if (self.table is None) == (self.query is None):
            raise ConfigError("either a table or a query", where="table", seen=self.table)
        bare = urllib.parse.urlunsplit(parts._replace(query=""))
        object.__setattr__(self, "name", self.name or f"{bare}/{self.table or 'query'}")
        check(self)
        Shape(self.columns)

    def observe(self) -> Any:
        """{rows, largest}: the count, and the largest value of `since`."""
        largest = f"max({_quoted(self.since)})" if self.since else "NULL"
        statement = f"SELECT count(*), {largest} FROM {self._from()}"
        with (
            closing(self._connect()) as connection,
            closing(self._run(connection, statement, ())) as rows,
        ):
            count, value = next(rows)[1]
        return {"rows": count, "largest": _plain(value)}

    def read(self, cursor: str | None) -> Generator[Item, None, str | None]:
        state = json.loads(cursor) if cursor else {"value": None, "had": []}
        had: set[str] = set(state["had"])
        value = state["value"]
        shape = Shape(self.columns) if self.modality == "row" else None
        packer = Packer(self.name, self.licence, self.authority, self.limits, shape)
        fields = Fields(
            text=self.text_field if self.modality == "text" else None,
            time=self.time_field,
            licence=self.licence_field,
        )
        table, number = self.table or "query", 0
        with (
            closing(self._connect()) as connection,
            Keys() as keys,
            closing(self._run(connection, *self._select(value))) as rows,
        ):
            try:
                for names, values in rows:
                    number += 1
                    row = dict(zip(names, values, strict=True))
                    if self.since is not None:
                        if (digest := xxhash.xxh3_64_hexdigest(as_json(row))) in had:
                            continue
                        if (at := _plain(row[self.since])) is not None:
                            had = had if at == value else set()
                            value = at
                            had.add(digest)
                    place = f"{table}:{row[self.key]}" if self.key else f"{table}#row={number}"
                    if self.key and not keys.fresh(str(row[self.key])):
                        fact = f"{self.key} was there before"
                        yield from packer.add(
                            Quarantined(place, "duplicate_key", fact, as_json(row))
                        )
                        continue
                    broken = ("damaged",) if any(type(v) is _Damaged for v in values) else ()
                    yield from packer.add(fields.record(row, place, None, broken))
            except _faults() as error:
                fact = f"reading stopped after {number} rows: {error}"[:300]
                yield from packer.add(Quarantined(table, "corrupt", fact))
        yield from packer.flush()
        if self.since is None:
            return cursor
        return json.dumps({"value": value, "had": sorted(had)})

    def _select(self, value: Any) -> tuple[str, Sequence[Any]]:
        order = [_quoted(column) for column in (self.since, self.key) if column]
        tail = f" ORDER BY {', '.join(order)}" if order else ""
        if self.since is None or value is None:
            return f"SELECT * FROM {self._from()}{tail}", ()
        mark = "%s" if self._scheme().startswith("postgres") else "?"
        return f"SELECT * FROM {self._from()} WHERE {order[0]} >= {mark}{tail}", (value,)

    def _from(self) -> str:
        if self.query is not None:
            return f"({self.query.rstrip().rstrip(';')}) AS asked"
        assert self.table is not None
        return ".".join(_quoted(part) for part in self.table.split("."))

    def _scheme(self) -> str:
        return urllib.parse.urlsplit(self.url).scheme

    def _connect(self) -> Any:
        parts = urllib.parse.urlsplit(self.url)
        path = os.path.join(self.directory, urllib.parse.unquote(parts.path.removeprefix("/")))
        try:
            if parts.scheme == "sqlite":
                connection = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro", uri=True)
                connection.text_factory = _text
                return connection
            if parts.scheme == "duckdb":
                return _duckdb().connect(path, read_only=True)
            psycopg = need("psycopg", extra="postgres", why="to read from PostgreSQL")
            connected = psycopg.connect(self.url, connect_timeout=10)
            connected.read_only = True
            return connected
        except _faults() as error:
            raise InputError(f"cannot be opened: {error}", where=self.name) from None

    def _run(
        self, connection: Any, statement: str, values: Sequence[Any]
    ) -> Generator[tuple[list[str], Sequence[Any]], None, None]:
        """Column names and values of each row, never all rows at once."""
        try:
            cursor = self._asked(connection, statement, values)
            rows = cursor.fetchmany(_FETCHED)
        except _faults() as error:
            raise InputError(f"cannot be read: {error}", where=self.name) from None
        with closing(cursor):
            names = [column[0] for column in cursor.description]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(
                    "columns named twice",
                    where=self.name,
                    seen=twice,
                    hint="name them with AS in the query",
                )
            while rows:
                for row in rows:
                    yield names, row
                rows = cursor.fetchmany(_FETCHED)

    def _asked(self, connection: Any, statement: str, values: Sequence[Any]) -> Any:
        if not self._scheme().startswith("postgres"):
            return connection.execute(statement, list(values))
        cursor = connection.cursor(name="tenfold")  # at the server; by itself it takes all rows
        try:
            cursor.execute(statement, values or None)
        except BaseException:
            cursor.close()
            raise
        return cursor


class _Damaged(str):
    """Text that SQLite held as broken UTF-8."""

    __slots__ = ()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _Damaged(data.decode("utf-8", "replace"))


def _duckdb() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError:
        raise MissingExtra(
            "the package 'duckdb' is not installed; it is needed to read DuckDB's files",
            hint="pip install duckdb",
        ) from None
    return duckdb


def _faults() -> tuple[type[Exception], ...]:
    """What the databases that are loaded raise."""
    found: list[type[Exception]] = [sqlite3.Error]
    for name in ("psycopg", "duckdb"):
        if module := sys.modules.get(name):
            found.append(module.Error)
    return tuple(found)


def _quoted(name: str) -> str:
    """An identifier of standard SQL."""
    return '"' + name.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    """A value of `since` that JSON holds and the database compares."""
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value if value is None or isinstance(value, int | float | str) else str(value)
