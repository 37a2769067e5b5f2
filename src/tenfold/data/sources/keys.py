"""Has this key been there before? Exact, in bounded memory whatever the number of keys.

SQLite keeps them in a temporary file that it deletes itself. Knows no table.
"""

from __future__ import annotations

import sqlite3


class Keys:
    def __init__(self) -> None:
        self._known: sqlite3.Connection | None = None

    def __enter__(self) -> Keys:
        return self

    def __exit__(self, *_: object) -> None:
        if self._known is not None:
            self._known.close()

    def fresh(self, key: str) -> bool:
        """True the first time."""
        if self._known is None:
            self._known = sqlite3.connect("", isolation_level=None)  # "": temporary, on disk when large
            self._known.execute("CREATE TABLE known (key TEXT PRIMARY KEY) WITHOUT ROWID")
            self._known.execute("BEGIN")
        done = self._known.execute("INSERT OR IGNORE INTO known VALUES (?)", (key,))
        return done.rowcount == 1
