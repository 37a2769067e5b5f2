"""The ledger in SQL, once for every dialect.

A dialect supplies a connection that is already safe to use from several threads: `transaction()` yields
a cursor-like object and commits or rolls back as a whole. Everything the Ledger Protocol promises is
here; what differs between SQLite and Postgres is in their own files.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar

from tenfold.core.asset import Manifest
from tenfold.core.facts import (
    AliasMove,
    AuditEntry,
    Metric,
    Partial,
    RunStep,
    StepResult,
    TrafficRow,
    Verdict,
)
from tenfold.errors import AliasConflict, FactRefused, LedgerError
from tenfold.ledger.audit import GENESIS, seal
from tenfold.ledger.columns import encoded_columns
from tenfold.ledger.tables import TABLES, codec

F = TypeVar("F")
_BATCH = 500
"""Rows per statement: well under every driver's limit on parameters."""
_AUDIT_ATTEMPTS = 10


class Cursor(Protocol):
    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any: ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class SqlLedger(ABC):
    """The Ledger Protocol over a dialect, which supplies the first two methods."""

    @abstractmethod
    def transaction(
        self, *, write: bool = True, wait_s: float | None = None
    ) -> AbstractContextManager[Any]:
        """A cursor; what is done with it happens entirely or not at all.

        Another writer is waited for at most `wait_s`; None: as long as the dialect thinks right.
        """

    @abstractmethod
    def close(self) -> None: ...

    def result(self, key: str) -> StepResult | None:
        with self.transaction(write=False) as cursor:
            cursor.execute(_result_sql(), (key,))
            row = cursor.fetchone()
        return _decoded(tuple(row)) if row else None

    def settled(self, factory: str) -> list[StepResult]:
        columns = ", ".join(codec(StepResult).columns)
        with self.transaction(write=False) as cursor:
            cursor.execute(
                f"SELECT {columns} FROM step_results WHERE key IN (SELECT key FROM run_steps WHERE"
                " run_id = (SELECT id FROM runs WHERE factory = ? AND status = 'succeeded'"
                " ORDER BY started_at_s DESC LIMIT 1)) ORDER BY finished_at_s",
                (factory,),
            )
            rows = cursor.fetchall()
        return [_decoded(tuple(row)) for row in rows]

    def current(self, factory: str, asset: str) -> StepResult | None:
        with self.transaction(write=False) as cursor:
            cursor.execute(
                "SELECT s.key, s.digest FROM run_steps s JOIN runs r ON r.id = s.run_id"
                " WHERE s.asset = ? AND r.factory = ? AND s.key IS NOT NULL AND s.digest IS NOT NULL"
                " ORDER BY r.started_at_s DESC, r.id DESC LIMIT 1",
                (asset, factory),
            )
            row = cursor.fetchone()
        found = self.read(StepResult, key=row[0], digest=row[1]) if row else []
        if not found:  # never met by a run, or collected since
            found = self.read(StepResult, factory=factory, asset=asset, newest=True, limit=1)
        return found[0] if found else None

    def commit(
        self,
        result: StepResult,
        metrics: Sequence[Metric] = (),
        verdicts: Sequence[Verdict] = (),
        run_step: RunStep | None = None,
    ) -> None:
        with self.transaction() as cursor:
            _upsert(cursor, result)
            cursor.execute("DELETE FROM partials WHERE key = ?", (result.key,))
            for fact in (*metrics, *verdicts):
                insert(cursor, fact)
            if run_step is not None:
                _upsert(cursor, run_step)

    def manifest(self, digest: str) -> Manifest | None:
        with self.transaction(write=False) as cursor:
            cursor.execute("SELECT output FROM step_results WHERE digest = ? LIMIT 1", (digest,))
            row = cursor.fetchone()
        return Manifest.from_bytes(row[0]) if row else None

    def put(self, *facts: Any) -> None:
        with self.transaction() as cursor:
            for kind, group in itertools.groupby(facts, type):
                cursor.executemany(_upsert_sql(kind), [_row(fact) for fact in group])

    def append(self, facts: Sequence[Any]) -> None:
        if facts:
            with self.transaction() as cursor:
                for kind, group in itertools.groupby(facts, type):
                    encode = codec(kind).encode
                    cursor.executemany(insert_sql(kind), [encode(fact) for fact in group])

    def append_columns(
        self, tables: Mapping[type, Mapping[str, Sequence[Any]]], *, wait_s: float | None = None
    ) -> None:
        encoded = [(kind, encoded_columns(kind, columns)) for kind, columns in tables.items()]
        with self.transaction(wait_s=wait_s) as cursor:
            for kind, columns in encoded:
                if columns and columns[0]:
                    self.insert_columns(cursor, kind, columns)

    @abstractmethod
    def insert_columns(self, cursor: Any, kind: type, columns: Sequence[Sequence[Any]]) -> None:
        """Insert many rows of one kind, given as all its columns in the codec's order."""

    def read(
        self,
        kind: type[F],
        *,
        after: int = 0,
        limit: int | None = None,
        newest: bool = False,
        **where: Any,
    ) -> list[F]:
        coder = codec(kind)
        table = TABLES[kind]
        clauses: list[str] = []
        values: list[Any] = []
        for name, value in where.items():
            column = "digest" if kind is StepResult and name == "digest" else name
            if column not in coder.columns and column != "digest":
                raise LedgerError(f"{kind.__name__} has no field {name!r}")
            if isinstance(value, list | tuple | set | frozenset):
                if not value:
                    return []
                clauses.append(f"{column} IN ({', '.join('?' * len(value))})")
                values.extend(value)
            elif value is None:
                clauses.append(f"{column} IS NULL")
            else:
                clauses.append(f"{column} = ?")
                values.append(value)
        if coder.has_seq and after:
            clauses.append("seq > ?")
            values.append(after)
        order = _order(kind, coder.has_seq)
        columns = (("seq",) if coder.has_seq else ()) + coder.columns
        sql = f"SELECT {', '.join(columns)} FROM {table.name}"
        if clauses:
            sql += " WHERE " + " AND ".join(clauses)
        sql += " ORDER BY " + ", ".join(f"{c} DESC" if newest else c for c in order)
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        with self.transaction(write=False) as cursor:
            cursor.execute(sql, values)
            rows = cursor.fetchall()
        return [coder.decode(row) for row in rows]

    def move_alias(self, move: AliasMove, expected: str | None) -> AliasMove:
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT digest FROM alias_moves WHERE alias = ? ORDER BY seq DESC LIMIT 1",
                (move.alias,),
            )
            row = cursor.fetchone()
            current = row[0] if row else None
            if current != expected:
                raise AliasConflict(
                    f"{move.alias} points at {_short(current)}, not at {_short(expected)} as expected",
                    hint="somebody moved it meanwhile; look at it and try again",
                )
            insert(cursor, move)
            append_audit(
                cursor,
                AuditEntry(
                    at_s=move.at_s,
                    actor=move.actor,
                    action="alias.move",
                    subject=move.alias,
                    detail={"from": current, "to": move.digest, "reason": move.reason},
                ),
            )
        moved = self.alias(move.alias)
        assert moved is not None
        return moved

    def alias(self, name: str) -> AliasMove | None:
        moves = self.read(AliasMove, alias=name, newest=True, limit=1)
        return moves[0] if moves else None

    def acquire(self, key: str, owner: str, ttl_s: float, now_s: float) -> str | None:
        with self.transaction() as cursor:
            cursor.execute(
                "INSERT INTO leases (key, owner, expires_at_s) VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET owner = excluded.owner, expires_at_s = excluded.expires_at_s"
                " WHERE leases.owner = excluded.owner OR leases.expires_at_s < ?",
                (key, owner, now_s + ttl_s, now_s),
            )
            cursor.execute("SELECT owner FROM leases WHERE key = ?", (key,))
            holder = cursor.fetchone()[0]
        return None if holder == owner else holder

    def release(self, key: str, owner: str) -> None:
        with self.transaction() as cursor:
            cursor.execute("DELETE FROM leases WHERE key = ? AND owner = ?", (key, owner))

    def audit(self, actor: str, action: str, subject: str, detail: Any, at_s: float) -> None:
        entry = AuditEntry(at_s=at_s, actor=actor, action=action, subject=subject, detail=detail)
        for attempt in range(_AUDIT_ATTEMPTS):
            try:
                with self.transaction() as cursor:
                    append_audit(cursor, entry)
                return
            except FactRefused:  # somebody who does not take the writers' lock was faster
                if attempt == _AUDIT_ATTEMPTS - 1:
                    raise

    def traffic(
        self, since_s: float, bucket_s: float, source: str | None = None
    ) -> list[TrafficRow]:
        sql = (
            "SELECT FLOOR(at_s / ?) AS bucket, tier, COUNT(*), SUM(CASE WHEN status >= 400 THEN 1 ELSE 0"
            " END), SUM(prompt_tokens), SUM(completion_tokens), SUM(latency_ms), MAX(latency_ms),"
            " SUM(usd), SUM(joules) FROM requests WHERE at_s >= ?"
        )
        values: list[Any] = [bucket_s, since_s]
        if source is not None:
            sql += " AND source = ?"
            values.append(source)
        sql += " GROUP BY bucket, tier ORDER BY bucket, tier"
        with self.transaction(write=False) as cursor:
            cursor.execute(sql, values)
            rows = cursor.fetchall()
        return [
            TrafficRow(
                bucket_at_s=row[0] * bucket_s,
                tier=row[1],
                requests=int(row[2]),
                errors=int(row[3]),
                prompt_tokens=int(row[4]),
                completion_tokens=int(row[5]),
                latency_ms_sum=row[6],
                latency_ms_max=row[7],
                usd=row[8],
                joules=row[9],
            )
            for row in rows
        ]

    def partial(self, key: str) -> Partial | None:
        found = self.read(Partial, key=key)
        return found[0] if found else None

    def compact(self) -> bool:
        """Give up the space of what was removed, so that its bytes are gone. False: that is the database
        administrator's to do."""
        return False

    def forget(self, keys: Sequence[str]) -> None:
        with self.transaction() as cursor:
            for start in range(0, len(keys), _BATCH):
                batch = list(keys[start : start + _BATCH])
                marks = ", ".join("?" * len(batch))
                for table in ("step_results", "partials", "metrics", "verdicts"):
                    cursor.execute(f"DELETE FROM {table} WHERE key IN ({marks})", batch)


def _order(kind: type, has_seq: bool) -> tuple[str, ...]:
    if has_seq:
        return ("seq",)
    if kind is StepResult:
        return ("finished_at_s", "key")
    if "started_at_s" in codec(kind).columns and kind is not RunStep:
        return ("started_at_s", *TABLES[kind].identity)
    return TABLES[kind].identity


def _upsert(cursor: Cursor, fact: Any) -> None:
    cursor.execute(_upsert_sql(type(fact)), _row(fact))


def _make_upsert(kind: Any) -> str:
    table = TABLES[kind]
    columns = (*codec(kind).columns, *(("digest",) if kind is StepResult else ()))
    updates = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in table.identity)
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        f" ON CONFLICT ({', '.join(table.identity)}) DO UPDATE SET {updates}"
    )


_upsert_sql: Callable[[Any], str] = cache(_make_upsert)


def _row(fact: Any) -> tuple[Any, ...]:
    values = codec(type(fact)).encode(fact)
    return (*values, fact.output.digest) if isinstance(fact, StepResult) else values


@lru_cache(maxsize=4096)
def _decoded(row: tuple[Any, ...]) -> StepResult:
    """The same row is the same value: planning again does not parse it again."""
    return codec(StepResult).decode(row)


@cache
def _result_sql() -> str:
    """Planning asks this once per asset: it is not put together every time."""
    columns = ", ".join(codec(StepResult).columns)
    return f"SELECT {columns} FROM step_results WHERE key = ? ORDER BY finished_at_s DESC LIMIT 1"


def insert(cursor: Cursor, fact: Any) -> None:
    cursor.execute(insert_sql(type(fact)), codec(type(fact)).encode(fact))


def _make_insert(kind: Any) -> str:
    marks = ", ".join("?" * len(codec(kind).columns))
    return f"{insert_head(kind)} VALUES ({marks}) {TABLES[kind].conflict}"


insert_sql: Callable[[Any], str] = cache(_make_insert)


def insert_head(kind: Any) -> str:
    return f"INSERT INTO {TABLES[kind].name} ({', '.join(codec(kind).columns)})"


def append_audit(cursor: Cursor, entry: AuditEntry) -> None:
    """The UNIQUE `previous` column makes a fork of the chain impossible, whoever writes at once."""
    cursor.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1")
    row = cursor.fetchone()
    insert(cursor, seal(entry, row[0] if row else GENESIS))


def _short(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:12]
