"""Budgets in an LMDB file that all worker processes of a host share.

A transaction takes 3 to 10 microseconds, for it is not synchronised to the disk: what is booked survives
the death of any process, `kill -9` included, but not a power cut or a crash of the machine. The file's
room is set aside when it is made: a disk that fills up later cannot hurt it.

One writer at a time. Who it is, is decided by a file lock that is tried and never waited for on the event
loop: a process that is stopped while it writes holds the others up until they give the store up for lost,
not their event loops. Inside it, LMDB's own robust mutex takes back what a dead writer had begun.

Open it after forking, never before.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import msgspec

from tenfold.errors import StoreError
from tenfold.serve.access.budgets.base import (
    Ask,
    Reservation,
    Settlement,
    Standing,
    StoreLost,
    Verdict,
    outlived,
)
from tenfold.serve.access.budgets.posting import credit, forfeit, post

T = TypeVar("T")

_STANDING = struct.Struct("<3q")
_EXPIRES = struct.Struct(">Q")
_KEEP_MS = 24 * 3600 * 1000
"""How long it is known that a reservation was forfeited, or booked locally: a settlement that comes later
than a day is taken for one that was booked."""
_PRUNE_S = 3600.0
_PER_MEGABYTE = 500
"""Reservations. They take a third of it: taking one out writes pages too, and must find room."""
_CHECK_EVERY = 32
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.0002, 0.005
_EMPTY = Standing()


class EmbeddedBudgets:
    """The store of one host. Settings are its file's."""

    name = "embedded"

    def __init__(self, path: Path, *, megabytes: int = 64, patience_s: float = 2.0) -> None:
        """`megabytes`: room for 500 open or forfeited reservations each. `patience_s`: how long to wait for
        another process's turn before the store is taken for lost. Raises StoreError."""
        self.path = path
        self._patience_s = patience_s
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._turn = os.open(
                path.with_name(path.name + "-turn"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            self._env = lmdb.open(
                str(path), subdir=False, map_size=megabytes << 20, max_dbs=4, mode=0o600,
                sync=False, metasync=False, writemap=True, readahead=False, max_readers=1024,
            )  # fmt: skip
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, megabytes << 20)
            self._env.reader_check()
            self._dbs = tuple(
                self._env.open_db(name) for name in (b"rows", b"open", b"forfeited", b"booked")
            )
        except (OSError, lmdb.Error) as error:
            raise StoreError(
                "the budgets' file cannot be opened",
                where=str(path),
                seen=getattr(error, "strerror", None) or str(error),
                hint="may the folder be written, and is it on a local disk with room?",
            ) from error
        self._most = megabytes * _PER_MEGABYTE
        self._unchecked = 0
        self._next_prune = 0.0

    def apply_now(
        self, settlements: Sequence[Settlement], asks: Sequence[Ask]
    ) -> list[Verdict] | None:
        if not self._take_turn():
            return None
        try:
            return self._write(lambda books: self._post(books, settlements, asks))
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    async def apply(self, settlements: Sequence[Settlement], asks: Sequence[Ask]) -> list[Verdict]:
        return await self._in_turn(lambda books: self._post(books, settlements, asks))

    async def standings(self, rows: Sequence[str]) -> list[Standing]:
        try:
            with self._env.begin() as transaction:
                books = _Books(transaction, *self._dbs)
                return [books.standing(row) for row in rows]
        except lmdb.Error as error:
            raise StoreLost(str(error)) from error

    async def credit(self, row: str, amount: int) -> int:
        return await self._in_turn(lambda books: credit(books, row, amount))

    async def expire(self, now_ms: int, most: int = 500) -> int:
        def late(books: _Books) -> int:
            found = books.late(now_ms, most)
            for reservation in found:
                forfeit(books, reservation)
            return len(found)

        if time.monotonic() >= self._next_prune:
            self._next_prune = time.monotonic() + _PRUNE_S
            self._env.reader_check()
            await self._in_turn(lambda books: books.prune(now_ms))
        if not self._any_late(now_ms):
            return 0
        return await self._in_turn(late)

    async def close(self) -> None:
        self._env.close()
        os.close(self._turn)

    def _post(
        self, books: _Books, settlements: Sequence[Settlement], asks: Sequence[Ask]
    ) -> list[Verdict]:
        if asks:
            self._unchecked -= 1
            if self._unchecked < 0:
                self._unchecked = _CHECK_EVERY
                if books.num_kept > self._most:
                    self._unchecked = 0
                    raise StoreLost(f"more than {self._most} reservations are open or forfeited")
        return post(books, settlements, asks)

    def _any_late(self, now_ms: int) -> bool:
        """Without a turn: most often there is nothing to do."""
        try:
            with self._env.begin() as transaction:
                cursor = transaction.cursor(self._dbs[1])
                return bool(cursor.first()) and _EXPIRES.unpack(cursor.key()[:8])[0] <= now_ms
        except lmdb.Error as error:
            raise StoreLost(str(error)) from error

    def _take_turn(self) -> bool:
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StoreLost(str(error)) from error
        return True

    async def _in_turn(self, work: Callable[[_Books], T]) -> T:
        deadline = time.monotonic() + self._patience_s
        wait_s = _FIRST_WAIT_S
        while not self._take_turn():
            if time.monotonic() >= deadline:
                raise StoreLost(f"another process has held it for {self._patience_s:g} s")
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 1.5)
        try:
            return self._write(work)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _write(self, work: Callable[[_Books], T]) -> T:
        try:
            with self._env.begin(write=True) as transaction:
                books = _Books(transaction, *self._dbs)
                done = work(books)
                books.write()
                return done
        except lmdb.Error as error:
            raise StoreLost(str(error)) from error


class _Books:
    """The books within one transaction. Rows are read once and written once."""

    __slots__ = ("_booked", "_forfeited", "_known", "_open", "_rows", "_transaction", "_written")

    def __init__(self, transaction: Any, rows: Any, open: Any, forfeited: Any, booked: Any) -> None:
        self._transaction = transaction
        self._rows = rows
        self._open = open
        self._forfeited = forfeited
        self._booked = booked
        self._known: dict[str, Standing] = {}
        self._written: set[str] = set()

    def standing(self, row: str) -> Standing:
        known = self._known.get(row)
        if known is None:
            stored = self._transaction.get(row.encode(), db=self._rows)
            known = _EMPTY if stored is None else Standing._make(_STANDING.unpack(stored))
            self._known[row] = known
        return known

    def set_standing(self, row: str, standing: Standing) -> None:
        self._known[row] = standing
        self._written.add(row)

    def write(self) -> None:
        for row in self._written:
            self._transaction.put(row.encode(), _STANDING.pack(*self._known[row]), db=self._rows)

    def is_open(self, reservation: Reservation) -> bool:
        return self._transaction.get(_key(reservation), db=self._open) is not None

    def open(self, reservation: Reservation) -> bool:
        return bool(
            self._transaction.put(
                _key(reservation), _encode(reservation), db=self._open, overwrite=False
            )
        )

    def shut(self, reservation: Reservation) -> bool:
        return bool(self._transaction.delete(_key(reservation), db=self._open))

    def forfeit(self, reservation: Reservation) -> None:
        self._transaction.put(_key(reservation), b"", db=self._forfeited)

    def redeem(self, reservation: Reservation) -> bool:
        return bool(self._transaction.delete(_key(reservation), db=self._forfeited))

    def remember(self, reservation: Reservation) -> bool:
        return bool(self._transaction.put(_key(reservation), b"", db=self._booked, overwrite=False))

    @property
    def num_kept(self) -> int:
        stat = self._transaction.stat
        return stat(self._open)["entries"] + stat(self._forfeited)["entries"]

    def late(self, now_ms: int, most: int) -> list[Reservation]:
        """Open reservations whose time is up: they come first, for their time is the key."""
        found: list[Reservation] = []
        for key, value in self._transaction.cursor(self._open):
            if len(found) == most or _EXPIRES.unpack(key[:8])[0] > now_ms:
                break
            found.append(_decode(value))
        return found

    def prune(self, now_ms: int) -> None:
        """Forget what nobody will ask about any more."""
        end = _EXPIRES.pack(max(0, now_ms - _KEEP_MS))
        for db in (self._forfeited, self._booked):
            old = []
            for key in self._transaction.cursor(db).iternext(values=False):
                if key > end:
                    break
                old.append(bytes(key))
            for key in old:
                self._transaction.delete(key, db=db)
        gone = [
            bytes(key)
            for key in self._transaction.cursor(self._rows).iternext(values=False)
            if outlived(bytes(key).decode(), now_ms / 1000)
        ]
        for key in gone:
            self._transaction.delete(key, db=self._rows)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reservation).decode


def _key(reservation: Reservation) -> bytes:
    """By the time it ends, so that the late come first."""
    return _EXPIRES.pack(reservation.expires_ms) + reservation.id.encode()
