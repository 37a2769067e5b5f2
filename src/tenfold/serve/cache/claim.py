"""Who on this host makes which answer: a kernel lock on one byte of a file per key.

A byte that no file has can be locked all the same, so a key's place is its own first bits, nothing is written,
and the kernel lets go when a process dies, however it dies. A claim takes 1 to 2 us where a write to LMDB takes
15, and it names its holder. It knows no flights.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
from pathlib import Path

from tenfold.errors import StoreError

NUM_FILES = 16
"""The kernel looks through the locks of a file one by one."""

_LINUX = sys.platform == "linux"
_FLOCK = struct.Struct("@hhqqi4x" if _LINUX else "@qqihh")


class Claims:
    """Locks of this process. Closing any other handle on the files would drop them: nobody else opens them."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where files cannot be made."""
        self.folder = folder
        self._held: dict[bytes, object] = {}
        self._turn = threading.Lock()  # the thread that writes to the host tier releases, too
        self._files: list[int] = []
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in range(NUM_FILES):
                path = folder / f"claims{number}"
                self._files.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            self.close()
            raise StoreError(
                f"workers cannot claim what they make: {error.strerror}", where=str(folder)
            ) from None

    def take(self, key: bytes) -> object | None:
        """A token to release it by; None where another process has it. Taking it over from oneself is fine:
        the earlier token then releases nothing."""
        with self._turn:
            try:
                fcntl.lockf(self._file(key), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
            except (BlockingIOError, PermissionError):
                return None
            token = self._held[key] = object()
            return token

    def release(self, key: bytes, token: object) -> None:
        """From any thread."""
        with self._turn:
            if self._held.get(key) is token:
                del self._held[key]
                if self._files:
                    fcntl.lockf(self._file(key), fcntl.LOCK_UN, 1, _place(key))

    def holder(self, key: bytes) -> int | None:
        """The process that has it; None: nobody, or this one; 0: one in another container."""
        place = _place(key)
        if _LINUX:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        else:
            asked = _FLOCK.pack(place, 1, 0, fcntl.F_WRLCK, os.SEEK_SET)
        found = _FLOCK.unpack(fcntl.fcntl(self._file(key), fcntl.F_GETLK, asked))
        kind, pid = (found[0], found[4]) if _LINUX else (found[3], found[2])
        return None if kind == fcntl.F_UNLCK else pid

    def close(self) -> None:
        with self._turn:
            while self._files:
                os.close(self._files.pop())
            self._held.clear()

    def _file(self, key: bytes) -> int:
        return self._files[key[8] % NUM_FILES]


def _place(key: bytes) -> int:
    """62 bits of its beginning and its end: offsets are signed, and the end of the byte counts too."""
    return (3 * int.from_bytes(key[:8], "big") + int.from_bytes(key[-8:], "big")) % 2**62
