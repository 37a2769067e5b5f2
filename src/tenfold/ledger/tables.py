"""Which table holds which fact, and the migrations that make the tables.

The SQL is written once for SQLite and Postgres: `{seq}` stands for the dialect's auto-increment key.
A migration is never edited after a release; a new one is added.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, get_args, get_origin, get_type_hints

from tenfold.core import facts
from tenfold.core.asset import Manifest
from tenfold.core.keys import canonical_json

SCHEMA_VERSION = 3

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
    2: """
    ALTER TABLE requests ADD COLUMN response_id TEXT;
    ALTER TABLE requests ADD COLUMN price_usd DOUBLE PRECISION NOT NULL DEFAULT 0;
    CREATE INDEX requests_response ON requests (response_id) WHERE response_id IS NOT NULL;
    ALTER TABLE virtual_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '["inference"]';
    ALTER TABLE virtual_keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE virtual_keys ADD COLUMN expires_at_s DOUBLE PRECISION;
    ALTER TABLE virtual_keys ADD COLUMN rpm BIGINT;
    ALTER TABLE virtual_keys ADD COLUMN tpm BIGINT;
    ALTER TABLE virtual_keys ADD COLUMN budget_usd DOUBLE PRECISION;
    ALTER TABLE virtual_keys ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'total';
    ALTER TABLE virtual_keys ADD COLUMN account TEXT NOT NULL DEFAULT '';
    ALTER TABLE virtual_keys ADD COLUMN rotated_from TEXT;
    ALTER TABLE virtual_keys ADD COLUMN rotated_until_s DOUBLE PRECISION
    """,
    3: """
    CREATE TABLE labels (
        seq {seq}, factory TEXT NOT NULL, queue TEXT NOT NULL, digest TEXT NOT NULL, record TEXT NOT NULL,
        annotator TEXT NOT NULL, action TEXT NOT NULL, label TEXT NOT NULL, slot BIGINT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL, at_s DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX labels_queue ON labels (factory, queue, seq);
    CREATE INDEX labels_record ON labels (record)
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
    facts.LabelEvent: TableOf("labels"),
    facts.AliasMove: TableOf("alias_moves"),
    facts.RequestEvent: TableOf("requests", conflict="ON CONFLICT (id) DO NOTHING"),
    facts.EnergyWindow: TableOf("energy_windows"),
    facts.AuditEntry: TableOf("audit"),
}


Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """Turns one kind of fact into a row and back."""

    cls: type
    columns: tuple[str, ...]
    """Without `seq`."""
    writers: tuple[tuple[str, Convert | None], ...]
    """Column -> what makes a database's value of it; None: it is one."""
    readers: tuple[tuple[str, Convert | None], ...]
    """The way back, with `seq` in front when there is one."""
    has_seq: bool
    kinds: Mapping[str, frozenset[type]]
    """Column -> the Python types it may hold; empty for what is stored as JSON."""

    def encode(self, fact: Any) -> tuple[Any, ...]:
        return tuple(
            [
                getattr(fact, name) if write is None else write(getattr(fact, name))
                for name, write in self.writers
            ]
        )

    def decode(self, row: Sequence[Any]) -> Any:
        """`row` holds seq (when there is one) and then the columns."""
        return self.cls(
            **{
                name: value if read is None else read(value)
                for (name, read), value in zip(self.readers, row, strict=True)
            }
        )


def storable(text: str) -> str:
    """Without what Postgres (NUL) or UTF-8 (a lone surrogate, from a file name say) cannot hold."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "\ufffd").encode(errors="surrogatepass").decode(errors="replace")


def _make_codec(cls: Any) -> Codec:
    hints = get_type_hints(cls)
    columns = tuple(field.name for field in dataclasses.fields(cls) if field.name != "seq")
    pairs = {name: _converters(cls, name, hints[name]) for name in columns}
    has_seq = "seq" in hints
    return Codec(
        cls=cls,
        columns=columns,
        writers=tuple((name, pairs[name][0]) for name in columns),
        readers=((("seq", None),) if has_seq else ())
        + tuple((name, pairs[name][1]) for name in columns),
        has_seq=has_seq,
        kinds={name: _plain(hints[name]) for name in columns},
    )


codec: Callable[[Any], Codec] = cache(_make_codec)
"""One per kind of fact."""


def _plain(hint: Any) -> frozenset[type]:
    kinds = frozenset(get_args(hint) or (hint,))
    return kinds if kinds <= _PLAIN else frozenset()


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _converters(cls: type, name: str, hint: Any) -> tuple[Convert | None, Convert | None]:
    """How a column of a type is written and read."""
    if hint is Manifest:
        return lambda manifest: manifest.to_bytes().decode(), Manifest.from_bytes
    if hint is facts.Usage:
        return (
            lambda usage: _to_json({n: getattr(usage, n) for n in usage.__slots__}),
            lambda text: facts.Usage(**_scan(text)[0]),
        )
    if get_origin(hint) is tuple:
        return _to_json, lambda text: tuple(
            tuple(item) if isinstance(item, list) else item for item in _scan(text)[0]
        )
    kinds = _plain(hint)
    if not kinds:
        return _to_json, _parsed if name == "environment" else _from_json
    if str in kinds:
        return lambda text: None if text is None else storable(text), None
    if hint is bool:
        return None, bool
    if cls is facts.Metric and hint is float:
        return None, lambda value: math.nan if value is None else value  # SQLite stores NaN as NULL
    return None, None


_scan = json.JSONDecoder().raw_decode
"""What is stored is canonical: there is no white space to skip."""


def _to_json(value: Any) -> str:
    return canonical_json(value).decode()


def _from_json(text: str) -> Any:
    return None if text == "null" else {} if text == "{}" else _scan(text)[0]


def _parsed(text: str) -> dict[str, Any]:
    """Thousands of results share a handful of environments."""
    return dict(_parsed_once(text))


@lru_cache(maxsize=256)
def _parsed_once(text: str) -> dict[str, Any]:
    return _scan(text)[0]
