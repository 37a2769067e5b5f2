"""The host tier: answers shared by all workers of a host, in an LMDB file.

A look-up reads the file's pages where they lie. Puts are queued for a thread that writes what has gathered in
one transaction, so the event loop never waits for a lock or a disk. Room is made before it runs out, in the
order of arrival, except that what is in use goes round again. Whatever goes wrong (a full disk, a bad page)
costs hits and is said once; it never reaches a caller.
"""

from __future__ import annotations

import logging
import queue
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import lmdb

from tenfold.errors import StoreError
from tenfold.serve.cache.host_file import HostFile
from tenfold.serve.cache.purge import Marks
from tenfold.serve.cache.stored import Stored, decode, encode

log = logging.getLogger("tenfold.cache")

CHECK_BYTES = 8
"""The end of its key precedes every answer, so that a mixed-up page cannot give one answer for another."""
FILL = 0.6
"""Share of the file that answers may fill. The rest is for pages that copies of pages take, and for holes."""
MAX_QUEUED = 10_000
MAX_TOUCHED = 100_000
EVICTION_SLICE = 64
"""Entries that may go round again before one has to leave."""
SWEEP_SLICE = 200

_TIME = struct.Struct(">d")
_NUMBER = struct.Struct(">Q")

Job = tuple[bytes, Stored] | Callable[[], None]


class HostTier:
    """For one event loop in each of several processes; the file is theirs together. Open it after a fork."""

    name = "host"

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        batch_s: float = 0.01,
        in_use: Callable[[bytes], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """The file never grows beyond `max_bytes`; an answer over a 32nd of it is not kept. `batch_s`: how
        long a put waits for company. `in_use`: whether a nearer tier holds a key, which keeps it here too.

        Raises StoreError when the folder cannot be used.
        """
        self._file = HostFile(folder, (b"answers", b"order", b"marks"), max_bytes)
        self._env = self._file.env
        self._answers, self._order, self._mark_table = self._file.tables
        self._begin = self._env.begin
        self._census = self._file.census
        self._may_hold = self._census.may_hold
        self._page_bytes = self._env.stat()["psize"]
        self._room_bytes = int(max_bytes * FILL)
        self._max_answer_bytes = max_bytes // 32
        self._max_batch_bytes = max_bytes // 16
        self._batch_s = batch_s
        self._in_use = in_use
        self._clock = clock
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending: dict[bytes, Stored] = {}
        self._touched: set[bytes] = set()
        self._trouble = ""
        self._closed = False
        self.num_dropped = 0
        """Puts that were not kept: the queue was full, or the disk."""
        self.num_evicted = 0
        self._writer = threading.Thread(target=self._write, name="host-tier", daemon=True)
        self._writer.start()

    @property
    def generation(self) -> memoryview:
        return self._file.generation

    @property
    def num_entries(self) -> int:
        with self._begin() as txn:
            return txn.stat(self._answers)["entries"]

    @property
    def num_bytes(self) -> int:
        """Of the file's pages that are in use."""
        with self._begin() as txn:
            return self._used_bytes(txn)

    def get(self, key: bytes) -> Stored | None:
        if not self._may_hold(key):
            return self._pending.get(key)
        try:
            # Positional and without `with`: half the time.
            txn = self._begin(self._answers, None, False, True)
            try:
                found = txn.get(key)
                if found is None:
                    return self._pending.get(key)
                stored = decode(found, CHECK_BYTES)
                if stored is None or found[:CHECK_BYTES] != key[-CHECK_BYTES:]:
                    return self._pending.get(key)
            finally:
                txn.abort()
        except lmdb.Error as error:
            self._say(error)
            return None
        if stored.expires_at_s and stored.expires_at_s < self._clock():
            return None
        if len(self._touched) < MAX_TOUCHED:
            self._touched.add(key)
        return stored

    def put(self, key: bytes, stored: Stored) -> None:
        if stored.num_bytes > self._max_answer_bytes or len(self._pending) >= MAX_QUEUED:
            self.num_dropped += 1
            return
        self._pending[key] = stored
        self._jobs.put((key, stored))

    def after_puts(self, then: Callable[[], None]) -> None:
        """Call `then`, from the writing thread, when all that was put before can be read by everybody."""
        self._jobs.put(then)

    def sweep(self, dead: Callable[[Stored], bool]) -> Iterator[int]:
        """Nothing to wait for: the worker that set a mark has its writing thread throw away what it covers."""
        return iter(())

    def marks(self) -> Mapping[str, float]:
        try:
            with self._begin(self._mark_table) as txn:
                return {tag.decode(): _TIME.unpack(at)[0] for tag, at in txn.cursor()}
        except lmdb.Error as error:
            self._say(error)
            return {}

    def mark(self, marks: Mapping[str, float]) -> None:
        """Returns when every worker can see it. Waits for a transaction of another worker, if need be.

        Raises StoreError where it cannot be written, as on a full disk.
        """
        try:
            with self._begin(self._mark_table, write=True) as txn:
                known = Marks({tag.decode(): _TIME.unpack(at)[0] for tag, at in txn.cursor()})
                before = set(known.at_s)
                known.learn(marks)
                for gone in before - set(known.at_s):
                    txn.delete(gone.encode())
                for tag, at_s in known.at_s.items():
                    txn.put(tag.encode(), _TIME.pack(at_s))
        except lmdb.Error as error:
            raise StoreError(
                f"the other workers of this host cannot be told of the purge: {error}",
                where=str(self._file.folder),
                hint="make room on the disk and purge again, or restart the workers",
            ) from None
        self._file.change()
        self._jobs.put(lambda: self._throw_away(known))

    def close(self) -> None:
        """Writes what is queued, then lets go of the file."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._writer.join()
            self._file.close()

    # From here on: the writing thread.

    def _write(self) -> None:
        last = False
        while not last:
            first = self._jobs.get()
            if first is None:
                return
            if not self._closed:
                time.sleep(self._batch_s)
            jobs: list[Job] = [first]
            num_bytes = 0
            while num_bytes < self._max_batch_bytes:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                    break
                jobs.append(job)
                if isinstance(job, tuple):
                    num_bytes += job[1].num_bytes
            self._do(jobs)

    def _do(self, jobs: list[Job]) -> None:
        puts = [job for job in jobs if isinstance(job, tuple)]
        if puts:
            try:
                self._commit(puts)
                self._well()
            except lmdb.MapFullError:
                self._make_room(puts)
            except lmdb.Error as error:
                self.num_dropped += len(puts)
                self._say(error)
            for key, stored in puts:
                if self._pending.get(key) is stored:
                    self._pending.pop(key, None)
        for job in jobs:
            if not isinstance(job, tuple):
                try:
                    job()
                except Exception:  # the thread must outlive it
                    log.exception("after a put to %s", self._file.folder)

    def _commit(self, puts: list[tuple[bytes, Stored]]) -> None:
        with self._begin(write=True) as txn:
            place = self._next_place(txn)
            fresh: list[bytes] = []
            for key, stored in puts:
                value = key[-CHECK_BYTES:] + encode(stored)
                if txn.put(key, value, overwrite=False, db=self._answers):
                    txn.put(_NUMBER.pack(place), key, db=self._order, append=True)
                    place += 1
                    fresh.append(key)
                else:  # it keeps its place
                    txn.put(key, value, db=self._answers)
            gone = self._evict(txn, self._room_bytes)
            self._census.add(fresh)
            self._census.remove(gone)

    def _next_place(self, txn: lmdb.Transaction) -> int:
        last = txn.cursor(self._order)
        return int(_NUMBER.unpack(last.key())[0]) + 1 if last.last() else 0

    def _evict(self, txn: lmdb.Transaction, room_bytes: int) -> list[bytes]:
        """Oldest first, until what is left fits; returns what left. What is in use goes to the end, a few
        at a time."""
        gone: list[bytes] = []
        spared = 0
        place = self._next_place(txn)
        oldest = txn.cursor(self._order)
        while self._used_bytes(txn) > room_bytes and oldest.first():
            key = bytes(oldest.value())
            oldest.delete()
            if spared < EVICTION_SLICE and (
                key in self._touched or (self._in_use is not None and self._in_use(key))
            ):
                self._touched.discard(key)
                txn.put(_NUMBER.pack(place), key, db=self._order, append=True)
                place += 1
                spared += 1
            elif txn.delete(key, db=self._answers):
                self.num_evicted += 1
                gone.append(key)
        if len(self._touched) >= MAX_TOUCHED:
            self._touched = set()
        return gone

    def _make_room(self, puts: list[tuple[bytes, Stored]]) -> None:
        """Holes are too small for what was to be put: make more, once, and leave it at that."""
        try:
            with self._begin(write=True) as txn:
                self._census.remove(self._evict(txn, self._used_bytes(txn) * 3 // 4))
            self._commit(puts)
        except lmdb.Error as error:
            self.num_dropped += len(puts)
            self._say(error)

    def _throw_away(self, marks: Marks) -> None:
        """What `marks` cover, a slice at a time so that nobody waits long for the lock."""
        at: bytes | None = b""
        try:
            while at is not None and not self._closed:
                dead = []
                with self._begin(self._answers, buffers=True) as txn:
                    cursor = txn.cursor()
                    more = cursor.set_range(at)
                    for _ in range(SWEEP_SLICE):
                        if not more:
                            break
                        stored = decode(cursor.value(), CHECK_BYTES)
                        if stored is None or marks.covers(stored):
                            dead.append(bytes(cursor.key()))
                        more = cursor.next()
                    at = bytes(cursor.key()) if more else None
                if dead:
                    with self._begin(self._answers, write=True) as txn:
                        self._census.remove([key for key in dead if txn.delete(key)])
                time.sleep(0.001)
        except lmdb.Error as error:
            self._say(error)

    def _used_bytes(self, txn: lmdb.Transaction) -> int:
        pages = 0
        for table in (self._answers, self._order):
            stat = txn.stat(table)
            pages += stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]
        return pages * self._page_bytes

    def _say(self, error: lmdb.Error) -> None:
        kind = type(error).__name__
        if kind != self._trouble:
            self._trouble = kind
            log.warning("%s: answers are not kept for now: %s", self._file.folder, error)
        if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.PanicError):
            self._file.suspect()

    def _well(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.warning("%s: answers are kept again", self._file.folder)
