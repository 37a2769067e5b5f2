"""Which table holds which fact, and the migrations that make the tables.

The SQL is written once for SQLite and Postgres: `{seq}` stands for the dialect's auto-increment key.
A migration is never edited after a release; a new one is added.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from tenfold.core import facts
from tenfold.core.asset import Manifest
from tenfold.core.keys import canonical_json

SCHEMA_VERSION = 1

MIGRATIONS: Mapping[int, str] = {
    1: """
    CREATE TABLE step_results (
        key TEXT NOT NULL, factory TEXT NOT NULL, asset TEXT NOT NULL, step TEXT NOT NULL,
        version TEXT NOT NULL, config TEXT NOT NULL, inputs TEXT NOT NULL, output TEXT NOT NULL,
        digest TEXT NOT NULL, run_id TEXT NOT NULL, finished_at_s DOUBLE PRECISION NOT NULL,
        usage TEXT NOT NULL, source_sha256 TEXT NOT NULL, environment TEXT NOT NULL, observed TEXT NOT NULL,
        PRIMARY KEY (key, digest)
    );
    CREATE INDEX step_results_asset ON step_results (factory, asset, finished_at_s);
    CREATE INDEX step_results_digest ON step_results (digest);
    CREATE TABLE partials (
        key TEXT PRIMARY KEY, output TEXT NOT NULL, step BIGINT NOT NULL, at_s DOUBLE PRECISION NOT NULL
    );
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, factory TEXT NOT NULL, status TEXT NOT NULL,
        started_at_s DOUBLE PRECISION NOT NULL, finished_at_s DOUBLE PRECISION,
        host TEXT NOT NULL, pid BIGINT NOT NULL, targets TEXT NOT NULL, error TEXT
    );
    CREATE INDEX runs_started ON runs (started_at_s);
    CREATE TABLE run_steps (
        run_id TEXT NOT NULL, asset TEXT NOT NULL, step TEXT NOT NULL, needs TEXT NOT NULL,
        status TEXT NOT NULL, reason TEXT NOT NULL, key TEXT, digest TEXT,
        started_at_s DOUBLE PRECISION, finished_at_s DOUBLE PRECISION, attempt BIGINT NOT NULL,
        done DOUBLE PRECISION NOT NULL, error TEXT, PRIMARY KEY (run_id, asset)
    );
    CREATE INDEX run_steps_asset ON run_steps (asset);
    CREATE TABLE metrics (
        seq {seq}, key TEXT NOT NULL, run_id TEXT NOT NULL, asset TEXT NOT NULL, name TEXT NOT NULL,
        value DOUBLE PRECISION, unit TEXT NOT NULL, step BIGINT, at_s DOUBLE PRECISION NOT NULL
    );
    CREATE UNIQUE INDEX metrics_point ON metrics (key, name, COALESCE(step, -1));
    CREATE INDEX metrics_run ON metrics (run_id, seq);
    CREATE TABLE verdicts (
        seq {seq}, key TEXT NOT NULL, run_id TEXT NOT NULL, asset TEXT NOT NULL, rule TEXT NOT NULL,
        metric TEXT NOT NULL, value DOUBLE PRECISION, state TEXT NOT NULL, reason TEXT NOT NULL,
        at_s DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX verdicts_key ON verdicts (key, seq);
    CREATE TABLE events (
        seq {seq}, run_id TEXT NOT NULL, asset TEXT NOT NULL, event TEXT NOT NULL, fields TEXT NOT NULL,
        level TEXT NOT NULL, at_s DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX events_run ON events (run_id, seq);
    CREATE TABLE alias_moves (
        seq {seq}, alias TEXT NOT NULL, digest TEXT, previous TEXT, asset TEXT NOT NULL, key TEXT NOT NULL,
        actor TEXT NOT NULL, reason TEXT NOT NULL, at_s DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX alias_moves_alias ON alias_moves (alias, seq);
    CREATE TABLE requests (
        seq {seq}, id TEXT NOT NULL UNIQUE, at_s DOUBLE PRECISION NOT NULL, tenant TEXT NOT NULL,
        key_name TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, model_digest TEXT NOT NULL,
        backend TEXT NOT NULL, tier TEXT NOT NULL, status BIGINT NOT NULL, stream BOOLEAN NOT NULL,
        prompt_tokens BIGINT NOT NULL, completion_tokens BIGINT NOT NULL,
        latency_ms DOUBLE PRECISION NOT NULL, ttft_ms DOUBLE PRECISION, usd DOUBLE PRECISION NOT NULL,
        joules DOUBLE PRECISION NOT NULL, energy_method TEXT NOT NULL, gco2e DOUBLE PRECISION NOT NULL,
        error TEXT, source TEXT NOT NULL, cached_from TEXT
    );
    CREATE INDEX requests_time ON requests (at_s);
    CREATE TABLE energy_windows (
        seq {seq}, source TEXT NOT NULL, started_at_s DOUBLE PRECISION NOT NULL,
        ended_at_s DOUBLE PRECISION NOT NULL, joules DOUBLE PRECISION NOT NULL,
        idle_joules DOUBLE PRECISION NOT NULL, requests BIGINT NOT NULL, method TEXT NOT NULL,
        uncertainty DOUBLE PRECISION NOT NULL, usd DOUBLE PRECISION NOT NULL,
        idle_usd DOUBLE PRECISION NOT NULL, gco2e DOUBLE PRECISION NOT NULL
    );
    CREATE TABLE audit (
        seq {seq}, at_s DOUBLE PRECISION NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL UNIQUE, hash TEXT NOT NULL
    );
    CREATE TABLE virtual_keys (
        name TEXT PRIMARY KEY, tenant TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,
        created_at_s DOUBLE PRECISION NOT NULL, revoked_at_s DOUBLE PRECISION
    );
    CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at_s DOUBLE PRECISION NOT NULL)
    """,
}


@dataclass(frozen=True, slots=True)
class TableOf:
    """How one kind of fact is stored."""

    name: str
    identity: tuple[str, ...] = ()
    """Columns that name a record; empty for streams, whose identity is `seq`."""
    conflict: str = ""
    """What an insert does when a stream's record is already there."""


TABLES: Mapping[type, TableOf] = {
    facts.StepResult: TableOf("step_results", ("key", "digest")),
    facts.Partial: TableOf("partials", ("key",)),
    facts.Run: TableOf("runs", ("id",)),
    facts.RunStep: TableOf("run_steps", ("run_id", "asset")),
    facts.VirtualKey: TableOf("virtual_keys", ("name",)),
    facts.Metric: TableOf(
        "metrics",
        conflict="ON CONFLICT (key, name, COALESCE(step, -1)) DO UPDATE SET value = excluded.value,"
        " unit = excluded.unit, run_id = excluded.run_id, at_s = excluded.at_s",
    ),
    facts.Verdict: TableOf("verdicts"),
    facts.Event: TableOf("events"),
    facts.AliasMove: TableOf("alias_moves"),
    facts.RequestEvent: TableOf("requests", conflict="ON CONFLICT (id) DO NOTHING"),
    facts.EnergyWindow: TableOf("energy_windows"),
    facts.AuditEntry: TableOf("audit"),
}


@dataclass(frozen=True, slots=True)
class Codec:
    """Turns one kind of fact into a row and back."""

    cls: type
    columns: tuple[str, ...]
    """Without `seq`."""
    json_columns: frozenset[str]
    manifest_columns: frozenset[str]
    tuple_columns: frozenset[str]
    has_seq: bool

    def encode(self, fact: Any) -> tuple[Any, ...]:
        row = []
        for name in self.columns:
            value = getattr(fact, name)
            if name in self.manifest_columns:
                value = value.to_bytes().decode()
            elif name in self.json_columns:
                value = canonical_json(
                    dataclasses.asdict(value) if isinstance(value, facts.Usage) else value
                ).decode()
            elif isinstance(value, str):
                value = storable(value)
            row.append(value)
        return tuple(row)

    def decode(self, row: Sequence[Any]) -> Any:
        """`row` holds seq (when there is one) and then the columns."""
        values: dict[str, Any] = {}
        offset = 0
        if self.has_seq:
            values["seq"] = row[0]
            offset = 1
        for index, name in enumerate(self.columns, offset):
            value = row[index]
            if name in self.manifest_columns:
                value = Manifest.from_bytes(value)
            elif name in self.json_columns:
                value = json.loads(value)
                if name == "usage":
                    value = facts.Usage(**value)
                elif name in self.tuple_columns:
                    value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
            elif name == "stream":
                value = bool(value)
            elif name == "value" and value is None and self.cls is facts.Metric:
                value = math.nan  # SQLite keeps no NaN: it stores NULL
            values[name] = value
        return self.cls(**values)


_PLAIN = (str, int, float, bool)


def storable(text: str) -> str:
    """Without what Postgres (NUL) or UTF-8 (a lone surrogate, from a file name say) cannot hold."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "\ufffd").encode(errors="surrogatepass").decode(errors="replace")


def codec(cls: type) -> Codec:
    """The codec of a kind of fact, made once."""
    return _codec(cls)  # type: ignore[arg-type]  # mypy takes no type for hashable


@cache
def _codec(cls: Any) -> Codec:
    hints = get_type_hints(cls)
    columns = tuple(field.name for field in dataclasses.fields(cls) if field.name != "seq")
    manifests = frozenset(name for name in columns if hints[name] is Manifest)
    json_columns = frozenset(
        name
        for name in columns
        if (
            name not in manifests
            and not all(
                t in (*_PLAIN, type(None)) for t in getattr(hints[name], "__args__", (hints[name],))
            )
        )
        or str(hints[name]).startswith("tuple")
    )
    return Codec(
        cls=cls,
        columns=columns,
        json_columns=json_columns,
        manifest_columns=manifests,
        tuple_columns=frozenset(name for name in columns if str(hints[name]).startswith("tuple")),
        has_seq="seq" in hints,
    )
