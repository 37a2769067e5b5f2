"""The ledger in memory, for tests and notebooks: the same SQL on a database that is never written."""

from __future__ import annotations

from tenfold.ledger.sqlite import SqliteLedger


class MemoryLedger(SqliteLedger):
    def __init__(self) -> None:
        super().__init__(":memory:")
