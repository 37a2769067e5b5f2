"""One append-only file of a spool: records with length, checksum and count, owned through a file lock.

Whoever holds the lock owns the file; a process that dies lets go of it, whatever it was doing, and
another may claim it. A torn tail (killed while writing) and a damaged record are passed over. It knows
nothing of what a record holds.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".spool"
_MAGIC = b"tenfold spool 1\n"
_HEAD = struct.Struct("<III")
"""Length of the payload, its CRC-32, and how many events it holds."""


@dataclass(frozen=True, slots=True)
class Record:
    payload: bytes
    num_events: int


class Segment:
    """Records go in at the end and come out at the front. For one thread at a time."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._front = len(_MAGIC)
        self._end = self._front
        self.num_events = 0
        """In records not yet taken out."""
        self.num_damaged = 0
        """Records that were passed over."""

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new, empty one. Raises OSError."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            lock(fd)
            os.write(fd, _MAGIC)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd)

    @classmethod
    def claim(cls, path: Path) -> Segment | None:
        """One that a dead process left; None when its owner lives, it is gone meanwhile, or it is not
        one of ours (a newer version's, say): then it is left alone."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            lock(fd)
            removed = os.fstat(fd).st_nlink == 0  # replayed between our opening and our locking
            begins = os.pread(fd, len(_MAGIC), 0)
            if removed or not _MAGIC.startswith(begins):
                os.close(fd)
                return None
            segment = cls(path, fd)
            segment._measure()
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return segment

    @property
    def num_bytes(self) -> int:
        """On disk."""
        return self._end

    def append(self, record: Record) -> None:
        """On disk, synchronised, when this returns. Raises OSError and leaves the file as it was."""
        payload = record.payload
        data = _HEAD.pack(len(payload), zlib.crc32(payload), record.num_events) + payload
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], self._end + written)
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._end += len(data)
        self.num_events += record.num_events

    def front(self) -> Record | None:
        """The oldest record; the same one until `drop_front`. None when all were taken out."""
        while self._front < self._end:
            length, checksum, num_events = self._head(self._front)
            payload = os.pread(self._fd, length, self._front + _HEAD.size)
            if zlib.crc32(payload) == checksum:
                return Record(payload, num_events)
            self.num_damaged += 1
            self.drop_front()
        return None

    def drop_front(self) -> None:
        length, _, num_events = self._head(self._front)
        self._front += _HEAD.size + length
        self.num_events -= num_events

    def remove(self) -> None:
        """All of it is elsewhere: the file goes, and then the lock."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it; what it holds waits for whoever claims it."""
        os.close(self._fd)

    def _head(self, at: int) -> tuple[int, int, int]:
        length, checksum, num_events = _HEAD.unpack(os.pread(self._fd, _HEAD.size, at))
        return length, checksum, num_events

    def _measure(self) -> None:
        """Walk over the records; what does not fit before the end is a torn tail and is cut off."""
        size = os.fstat(self._fd).st_size
        while self._end + _HEAD.size <= size:
            length, _, num_events = self._head(self._end)
            if self._end + _HEAD.size + length > size:
                break
            self._end += _HEAD.size + length
            self.num_events += num_events
        if size > self._end:
            os.ftruncate(self._fd, self._end)


def lock(fd: int) -> None:
    """Own the file until it is closed or the process ends. Raises BlockingIOError when another does."""
    import fcntl  # not on Windows, where a gateway can run without a spool

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
