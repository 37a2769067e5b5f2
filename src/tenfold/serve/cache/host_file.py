"""The LMDB file that workers of a host share: opened safely, by several processes, after whatever happened.

The first process to open it looks whether it can be trusted: its length, its pages (walked by a process of
its own, because a bad page ends whoever reads it), and whether the machine went down since it was last
written (writes are not synced). What cannot be trusted is moved aside, and that is said. It knows no answers.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import lmdb

from tenfold.errors import StoreError
from tenfold.serve.cache.census import Census

log = logging.getLogger("tenfold.cache")

SYNCED = "synced"
SUSPECT = "suspect"
PROBE_S = 10.0
_PROBE = """
import sys, time, lmdb
end = time.monotonic() + float(sys.argv[2])
with lmdb.open(sys.argv[1], readonly=True, lock=False, max_dbs=8) as env, env.begin(buffers=True) as txn:
    for name in [bytes(name) for name in txn.cursor().iternext(values=False)]:
        for number, (key, value) in enumerate(txn.cursor(env.open_db(name, txn, create=False))):
            key[:1], value[:1], value[-1:]
            if not number % 1000 and time.monotonic() > end:
                sys.exit()
"""


class HostFile:
    """One environment with named tables (the first is counted), a lock file that says who has it open, and a
    number for all."""

    def __init__(self, folder: Path, tables: tuple[bytes, ...], map_bytes: int) -> None:
        """Raises StoreError when there is no place to open it in (rights, a full disk)."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._guard = os.open(folder / "guard", os.O_RDWR | os.O_CREAT, 0o600)
            self._own(tables[0])
            self._open(tables, map_bytes)
            self.census = Census(folder / "census")
            self._board = _number(folder / "generation")
        except (OSError, lmdb.Error) as error:
            for held in ("env", "_guard"):
                if hasattr(self, held):
                    self.env.close() if held == "env" else os.close(self._guard)
            raise StoreError(
                f"the tier of this host cannot be opened: {error}",
                where=str(folder),
                hint="give it a folder of its own on a disk with room, or leave the tier out",
            ) from None
        self.generation = memoryview(self._board).cast("Q")

    def change(self) -> None:
        """A new generation: whoever compares it looks again. Never the same number twice."""
        self.generation[0] = max(time.time_ns(), self.generation[0] + 1)

    def suspect(self) -> None:
        """Have the next process that opens it alone move it aside."""
        try:
            (self.folder / "state").write_text(SUSPECT)
        except OSError:
            log.warning("%s: cannot be marked as suspect", self.folder)

    def close(self) -> None:
        """The last one to leave makes it safe against a reboot."""
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (self.folder / "state").read_text() != SUSPECT:
                self.env.sync(True)
                (self.folder / "state").write_text(SYNCED)
        except (
            OSError,
            lmdb.Error,
        ):  # others have it open, or the disk is full: then it is not safe
            pass
        self.env.close()
        os.close(self._guard)
        self.census.close()
        self.generation.release()
        self._board.close()

    def _own(self, counted: bytes) -> None:
        """Share the guard; whoever gets it alone first makes sure of the file."""
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            fault = self._fault()
            if fault is not None:
                self._move_aside(fault)
            self._take_census(counted)
            (self.folder / "state").write_text(_boot())
        fcntl.flock(self._guard, fcntl.LOCK_SH)

    def _open(self, tables: tuple[bytes, ...], map_bytes: int) -> None:
        self.env = lmdb.open(
            str(self.folder),
            map_size=map_bytes,
            max_dbs=len(tables) + 1,
            max_readers=512,
            mode=0o600,
            sync=False,  # an answer lost with the machine is made again
            metasync=False,
            # Not writemap: on a full disk that ends the process. Not meminit=False: old memory would be kept.
        )
        self.env.reader_check()  # slots of processes that were killed
        self.tables = [self.env.open_db(name) for name in tables]

    def _take_census(self, table: bytes) -> None:
        """Count anew where no count was kept, or not of this file."""
        path = self.folder / "census"
        data = self.folder / "data.mdb"
        if data.exists() and data.stat().st_size and Census.known(path):
            return
        path.unlink(missing_ok=True)
        census = Census(path)
        if data.exists() and data.stat().st_size:
            with (
                lmdb.open(str(self.folder), readonly=True, lock=False, max_dbs=8) as env,
                env.begin() as txn,
            ):
                names = list(txn.cursor().iternext(values=False))
                if table in names:
                    answers = env.open_db(table, txn, create=False)
                    census.add(txn.cursor(answers).iternext(values=False))
        census.close()

    def _fault(self) -> str | None:
        data = self.folder / "data.mdb"
        if not data.exists() or data.stat().st_size == 0:
            return None
        try:
            state = (self.folder / "state").read_text()
        except (OSError, UnicodeDecodeError):
            state = ""
        if state == SUSPECT:
            return "a page could not be read"
        if state not in (SYNCED, _boot()):
            return "the machine went down while it was in use"
        try:
            with lmdb.open(str(self.folder), readonly=True, lock=False, max_dbs=8) as env:
                info = env.info()
                if (info["last_pgno"] + 1) * env.stat()["psize"] > data.stat().st_size:
                    return "it is shorter than it says"
        except lmdb.Error as error:
            return str(error)
        probe = subprocess.run(
            [sys.executable, "-I", "-c", _PROBE, str(self.folder), str(PROBE_S)],
            capture_output=True,
        )
        return None if probe.returncode == 0 else "its pages do not hang together"

    def _move_aside(self, fault: str) -> None:
        aside = self.folder / "data.mdb.aside"
        os.replace(self.folder / "data.mdb", aside)
        (self.folder / "census").unlink(missing_ok=True)
        (self.folder / "lock.mdb").unlink(missing_ok=True)
        log.warning("%s: %s; moved aside to %s, starting empty", self.folder, fault, aside.name)


def _number(path: Path) -> mmap.mmap:
    """Eight bytes that every process sees."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size != 8:
            os.truncate(descriptor, 8)
            os.pwrite(
                descriptor, bytes(8), 0
            )  # now, so that a full disk is an error and not a signal
        return mmap.mmap(descriptor, 8)
    finally:
        os.close(descriptor)


def _boot() -> str:
    """Names the time since the machine started; the same everywhere where that cannot be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
