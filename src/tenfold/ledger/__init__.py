"""All facts in one place: SQLite (write-ahead log) by default, Postgres at scale, memory for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.ledger.sql import SqlLedger


def open_ledger(url: str) -> SqlLedger:
    """`memory:`, a path to a SQLite file, `sqlite:///path`, or `postgresql://...`."""
    if url == "memory:":
        from tenfold.ledger.memory import MemoryLedger

        return MemoryLedger()
    if url.startswith(("postgresql://", "postgres://")):
        from tenfold.ledger.postgres import PostgresLedger

        return PostgresLedger(url)
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "sqlite":
        raise UsageError(
            f"no ledger speaks {scheme!r}",
            seen=url.partition("@")[2] or scheme,  # what stands before an @ may be a password
            hint="use a path to a SQLite file, or postgresql://...",
        )
    from tenfold.ledger.sqlite import SqliteLedger

    return SqliteLedger(rest if separator else url)
