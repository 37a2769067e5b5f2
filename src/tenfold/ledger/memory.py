"""The ledger in memory, for tests and notebooks: the same SQL on a database that is never written."""

from __future__ import annotations

from tenfold.ledger.sqlite import SqliteLedger


class MemoryLedger(SqliteLedger):
    """A ledger that lives as long as its object: SQLite without a file."""

    def __init__(self) -> None:
        super().__init__(":memory:")
