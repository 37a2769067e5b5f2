"""Counters of the current and the previous minute, shared by all worker processes of a host without locks.

A row per limit, in it a cell per worker: each worker writes only its own cells and reads everybody's. A
cell is one aligned 64-bit word, window << 32 | count, so it is never seen half written and one that was
not touched in this window counts as nothing. A worker that dies leaves its counts; the one that takes its
number goes on with them.

Which row a limit has is written in the file itself: a row carries the 48-bit tag of its limit's name. A
worker that meets a name for the first time looks for the tag, and takes a free row (or one that nobody
touched for two windows) under a file lock. Not the order of keys in the ledger: that shifts when a key is
revoked while workers refresh at different moments, and tenants have no place in it.

It knows names, windows and numbers; what a limit is and when to refuse is `limits`' business.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import time
from hashlib import blake2b
from pathlib import Path

from tenfold.errors import ConfigError, InfrastructureError, StoreError

WINDOW_S = 60.0
EPOCH_S = 1_735_689_600.0
"""2025-01-01: windows are numbered from here. Numbers stay small, so that the sum of a row of cells fits
a machine word, which Python adds several times faster."""
COUNT_BITS = 32
_LOCK_TRIES = 100
_LOCK_WAIT_S = 0.0002


class CountersFull(InfrastructureError):
    """More limits are in use at once than there are rows."""


def minutes_of(at_s: float) -> float:
    """A time as a number of windows; its whole part is the window."""
    return (at_s - EPOCH_S) / WINDOW_S


class Counters:
    """Rows of cells. `Counters(None)` is the in-memory twin: one process, gone with it."""

    def __init__(
        self, folder: Path | None, *, worker: int = 0, workers: int = 1, rows: int = 16_384
    ) -> None:
        """The file in `folder` is named after its shape, so workers of one shape share one. Raises
        ConfigError for a worker out of range, StoreError when the file cannot be made."""
        if not 0 <= worker < workers:
            raise ConfigError("no such worker", seen=worker, hint=f"0 to {workers - 1}")
        if not 1 <= workers <= 256:
            raise ConfigError("workers must be between 1 and 256", seen=workers)
        if not 1 <= rows <= 1 << 20:
            raise ConfigError("limit rows must be between 1 and 1048576", seen=rows)
        self.worker = worker
        self.columns = workers + 1
        """Cells per kind: one per worker, and one for what other hosts counted."""
        self.rows = rows
        self.block = 1 + 2 * self.columns
        """Words of one window of a row: the tag, requests by column, tokens by column."""
        self.stride = 2 * self.block
        words = rows * self.stride
        self._known: dict[int, int] = {}
        self._file: int | None = None
        if folder is None:
            self.map = mmap.mmap(-1, words * 8)
        else:
            path = folder / f"limits-{workers}x{rows}.counts"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                os.ftruncate(self._file, words * 8)  # sparse: untouched rows take no room
                self.map = mmap.mmap(self._file, words * 8)
            except OSError as error:
                raise StoreError(
                    "the file of rate counters cannot be made", where=str(path), seen=error.strerror
                ) from error
        self.words = memoryview(self.map).cast("Q")
        self.tagged = struct.Struct(f"{1 + self.columns}Q").unpack_from
        """Of a row: its tag and a window's request cells."""
        self.cells = struct.Struct(f"{self.columns}Q").unpack_from

    def claim(self, name: str, window: int) -> tuple[int, int]:
        """(tag, word offset) of the row of a name; `window` is the present one. Raises CountersFull; StoreError when another process
        holds the lock for longer than 20 ms."""
        tag = int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "little") or 1
        row = self._known.get(tag)
        if row is not None and self.words[row] == tag:
            return tag, row
        self._lock()
        try:
            row = self._find(tag, window)
        finally:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self._known[tag] = row
        return tag, row

    def tags(self) -> list[int]:
        """Of all rows; 0: nobody's."""
        return self.words[: self.rows * self.stride : self.stride].tolist()

    def _find(self, tag: int, window: int) -> int:
        tags = self.tags()
        if tag in tags:
            return tags.index(tag) * self.stride
        index = tags.index(0) if 0 in tags else self._idle(window)
        if index is not None:
            row = index * self.stride
            self._clear(row, tag)
            return row
        raise CountersFull(
            f"{self.rows} limits are in use at once, and there is no room for another",
            hint="raise `limit_rows`",
        )

    def _idle(self, window: int) -> int | None:
        """The first row whose every cell is older than the previous window."""
        oldest = (window - 1) << COUNT_BITS
        for index in range(self.rows):
            row = index * self.stride
            cells = self.words[row : row + self.stride].tolist()
            if max(cells[1 : self.block]) < oldest and max(cells[self.block + 1 :]) < oldest:
                return index
        return None

    def _clear(self, row: int, tag: int) -> None:
        for start in (row, row + self.block):
            self.words[start] = 0  # nobody's, while it is emptied
            for index in range(start + 1, start + self.block):
                self.words[index] = 0
        self.words[row] = self.words[row + self.block] = tag

    def _lock(self) -> None:
        """Not for long: this runs on the event loop, and a stopped process must not stop this one."""
        if self._file is None:
            return
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    raise
                time.sleep(_LOCK_WAIT_S)
        raise StoreError("another process holds the rate counters' lock", hint="is one stopped?")

    def close(self) -> None:
        self.words.release()
        self.map.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None
