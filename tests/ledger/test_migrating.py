"""A ledger that an older tenfold made: what it holds is there afterwards, with what is new at its default."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tenfold.core.facts import RequestEvent, VirtualKey
from tenfold.ledger import open_ledger
from tenfold.ledger.tables import MIGRATIONS, SCHEMA_VERSION

KEY = "INSERT INTO virtual_keys VALUES ('app', 'acme', 'ab', 1.5, NULL)"
REQUEST = (
    "INSERT INTO requests (id, at_s, tenant, key_name, endpoint, model, model_digest, backend, tier,"
    " status, stream, prompt_tokens, completion_tokens, latency_ms, usd, joules, energy_method,"
    " gco2e, source) VALUES ('chatcmpl-1', 2.0, 'acme', 'app', '/v1/chat/completions', 'm', '', 'b',"
    " 'model', 200, TRUE, 3, 4, 5.0, 0.25, 6.0, 'none', 0.0, 'live')"
)


def check(url: str) -> None:
    ledger = open_ledger(url)
    assert ledger.read(VirtualKey) == [
        VirtualKey(name="app", tenant="acme", sha256="ab", created_at_s=1.5)
    ]
    [event] = ledger.read(RequestEvent)
    assert (event.id, event.usd, event.response_id, event.price_usd) == (
        "chatcmpl-1",
        0.25,
        None,
        0,
    )
    ledger.close()
    ledger = open_ledger(url)  # and once is enough
    ledger.append(
        [
            RequestEvent(
                id="req-2", at_s=3.0, tenant="acme", key_name="app", endpoint="/v1/responses",
                model="m", model_digest="", backend="b", tier="model", status=200,
                response_id="resp_1", price_usd=0.5,
            )
        ]
    )  # fmt: skip
    [found] = ledger.read(RequestEvent, response_id="resp_1")
    assert (found.id, found.price_usd) == ("req-2", 0.5)
    ledger.close()


def test_sqlite_of_the_first_version(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with sqlite3.connect(path) as old:
        for statement in MIGRATIONS[1].split(";"):
            old.execute(statement.format(seq="INTEGER PRIMARY KEY AUTOINCREMENT"))
        old.execute("PRAGMA user_version = 1")
        old.execute(KEY)
        old.execute(REQUEST)
    old.close()
    check(str(path))
    with sqlite3.connect(path) as opened:
        assert opened.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        plan = opened.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM requests WHERE response_id = ?", ("x",)
        ).fetchall()
        assert "requests_response" in str(plan)
    opened.close()


@pytest.mark.postgres
def test_postgres_of_the_first_version(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as old:
        for statement in MIGRATIONS[1].split(";"):
            old.execute(statement.format(seq="BIGSERIAL PRIMARY KEY"))
        old.execute("CREATE TABLE tenfold_schema (version BIGINT NOT NULL)")
        old.execute("INSERT INTO tenfold_schema VALUES (1)")
        old.execute(KEY)
        old.execute(REQUEST)
    check(postgres_url)
