"""How many keys the host's file holds in each of a million classes, so that most misses need no look into it.

One byte per class, in a small file that all workers map: a look costs a tenth of a transaction. Only who holds
the write lock of the LMDB file counts, just before the commit. One that fails leaves a class too full, which
costs looks, or forgets answers that were about to leave. A class of 255 stays so. It knows no answers.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

_CLASSES = 1 << 20
_FULL = 255


class Census:
    def __init__(self, path: Path) -> None:
        """Raises OSError, also where the disk has no room for it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size != _CLASSES:
                os.truncate(descriptor, 0)
                os.posix_fallocate(descriptor, 0, _CLASSES)  # a full disk is an error, not a signal
            self._counts = mmap.mmap(descriptor, _CLASSES)
        finally:
            os.close(descriptor)

    def may_hold(self, key: bytes) -> bool:
        """False: no process has put such a key there."""
        return self._counts[key[0] << 12 | key[1] << 4 | key[2] >> 4] != 0

    def add(self, keys: Iterable[bytes]) -> None:
        counts = self._counts
        for key in keys:
            at = key[0] << 12 | key[1] << 4 | key[2] >> 4
            if counts[at] != _FULL:
                counts[at] += 1

    def remove(self, keys: Iterable[bytes]) -> None:
        counts = self._counts
        for key in keys:
            at = key[0] << 12 | key[1] << 4 | key[2] >> 4
            if 0 < counts[at] < _FULL:
                counts[at] -= 1

    def close(self) -> None:
        self._counts.close()

    @staticmethod
    def known(path: Path) -> bool:
        """Whether one was kept there."""
        return path.exists() and path.stat().st_size == _CLASSES
