"""Requests that ended, in mapped memory before the next flush: a killed process takes none of them along.

A record is copied into a file's pages, which are the kernel's and outlive the process; nothing is
synchronised, so that a power cut may still lose a flush. Two files take turns: one is written while the
events of the other are on their way to the ledger or the spool. It knows neither of them.
"""

from __future__ import annotations

import logging
import mmap
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.segment import lock

log = logging.getLogger("tenfold.gateway")

SUFFIX = ".journal"
_BYTES = 8 * 1024 * 1024
"""Of one file: at 250 bytes an event, some 30,000 per flush."""
_MAGIC = b"tenfold journal 1\n"
_HEAD = struct.Struct("<II")
"""Length of the record, and its CRC-32 begun with the file's turn, so that no older record is taken for new."""
_TURN = struct.Struct("<Q")
_FIELDS = ",".join(Exchange.__struct_fields__).encode()
_NAMES = struct.Struct("<I")
_FIRST = len(_MAGIC) + _TURN.size + _NAMES.size + len(_FIELDS)


class Turn:
    """One of the two files. It is locked as a file while it lives."""

    def __init__(self, path: Path, writing: threading.Lock) -> None:
        """Raises OSError."""
        self.path = path
        self._writing = writing
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            lock(fd)
            os.truncate(fd, _BYTES)
            self.map = mmap.mmap(fd, _BYTES)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self.end = _FIRST
        self.number = 1
        self.map[:_FIRST] = _MAGIC + _TURN.pack(self.number) + _NAMES.pack(len(_FIELDS)) + _FIELDS

    def clear(self) -> None:
        """What it holds is kept elsewhere."""
        with self._writing:
            self.number += 1
            _TURN.pack_into(self.map, len(_MAGIC), self.number)
            self.end = _FIRST

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.map.close()
        os.close(self._fd)


class Journal:
    """Written by the event loop, turned over by the recorder's thread."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the folder cannot be made or written."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = secrets.token_hex(8)
        self._writing = threading.Lock()
        """Held for a microsecond at a time: the loop may wait for it."""
        self._active, self._other = (
            Turn(folder / f"{name}-{n}{SUFFIX}", self._writing) for n in (0, 1)
        )
        self._encode = msgspec.msgpack.Encoder().encode
        self.num_unnoted = 0
        """Ended when there was no room: these a kill may lose."""

    def note(self, exchange: Exchange) -> None:
        """On the event loop, after the exchange was queued."""
        record = self._encode(exchange)
        with self._writing:
            turn = self._active
            at = turn.end
            end = at + _HEAD.size + len(record)
            if end > _BYTES:
                self.num_unnoted += 1
                return
            turn.map[at:end] = _HEAD.pack(len(record), zlib.crc32(record, turn.number)) + record
            turn.end = end

    def turn_over(self) -> Turn | None:
        """Before the queue is emptied: what was noted so far, to be cleared when its events are kept.

        None when nothing was, and while it is `held_up`: then this turn goes on.
        """
        with self._writing:
            if self._other.end != _FIRST or self._active.end == _FIRST:
                return None
            self._active, self._other = self._other, self._active
            return self._other

    @property
    def held_up(self) -> bool:
        """The events of the turn before are not kept yet."""
        return self._other.end != _FIRST and self._active.end != _FIRST

    def remove(self) -> None:
        """At the end, when everything is kept elsewhere."""
        for turn in (self._active, self._other):
            turn.remove()


class Estate:
    """The journal of a process that died, held until its events are kept."""

    def __init__(self, path: Path, fd: int, exchanges: Sequence[Exchange]) -> None:
        self._path, self._fd = path, fd
        self.exchanges = exchanges

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def estates(folder: Path) -> list[Estate]:
    """What dead processes left in a folder; each is given to one caller only."""
    found = []
    for path in sorted(folder.glob("*" + SUFFIX)):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            lock(fd)
            if os.fstat(fd).st_nlink == 0:  # cleared between our opening and our locking
                raise BlockingIOError
            data = os.pread(fd, _BYTES, 0)
            begins = data[: len(_MAGIC)]
            if begins != _MAGIC and any(begins):  # a newer version's, say: left alone
                raise BlockingIOError
            exchanges = _read(data)
        except BlockingIOError:
            os.close(fd)
            continue
        found.append(Estate(path, fd, exchanges))
    return found


def _read(data: bytes) -> list[Exchange]:
    """Records up to the first that does not fit; none when it was killed before it began."""
    at = len(_MAGIC)
    if not data.startswith(_MAGIC):
        return []
    (number,) = _TURN.unpack_from(data, at)
    (length,) = _NAMES.unpack_from(data, at + _TURN.size)
    at += _TURN.size + _NAMES.size + length
    names = data[at - length : at].decode().split(",")
    found = []
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if not length or zlib.crc32(record, number) != checksum:
            break
        values = dict(zip(names, msgspec.msgpack.decode(record), strict=False))
        known = {name: values[name] for name in Exchange.__struct_fields__ if name in values}
        found.append(Exchange(**known))
        at += _HEAD.size + length
    return found
