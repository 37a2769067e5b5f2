"""Files in an erasure: which hold a person, and each again without. Blobs are made anew, other files in place.

Beside the blobs lie caches, which are thrown away, and the books of a gateway, in which a trace is written
over with as many `x`: lengths and places stay as they are. A file that a process holds is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import InfrastructureError

if TYPE_CHECKING:
    from tenfold.core.asset import FileRef
    from tenfold.core.ports import Blobs
    from tenfold.data.privacy.traces import Traces

_ELSEWHERE = ("blobs", "staging", "views", "privacy")
_LEDGER = ("ledger.db", "ledger.db-wal", "ledger.db-shm")
_CACHES = ("answers",)
"""Folders of LMDB files that can be lost: pages that were given up keep what they held."""


class FileCleaner:
    def __init__(self, traces: Traces, subjects: Set[bytes]) -> None:
        self._traces = traces
        self._subjects = subjects
        self._done: dict[tuple[str, str], tuple[FileRef, str] | None] = {}
        self.gone: dict[str, tuple[bytes, ...]] = {}
        """SHA-256 of a blob of JSON Lines -> the lines that it has lost."""

    def traces_in(self, path: Path) -> int:
        """Bytes of the person in a file, packed parts included. 0 for one that is gone meanwhile."""
        from tenfold.data.privacy.search import search

        with contextlib.suppress(FileNotFoundError):
            return search(path, self._traces).traces
        return 0

    def suspects(self, path: Path) -> bool | None:
        """True for a file with a trace; False where only the words of a name stand, or a hash in its column
        `subjects`; None: neither."""
        from tenfold.data.privacy.search import PARQUET, search

        found = search(path, self._traces)
        if found.traces or found.names:
            return found.traces > 0
        with path.open("rb") as stream:
            if stream.read(4) != PARQUET:
                return None
        from tenfold.data.privacy.segment import names

        return False if names(path, self._subjects) else None

    def blob(self, name: str, ref: FileRef, blobs: Blobs, sure: bool) -> tuple[FileRef, str] | None:
        """A blob without the person and what was done, put into the store: `ref` itself where there was
        nothing of them. None: it cannot be rewritten, and there is (`sure`)."""
        from tenfold.data.privacy.rewriting import rewrite

        at = (Path(name).suffix, ref.sha256)
        if at not in self._done:
            folder = blobs.staging()
            try:
                target = folder / "clean"
                done = rewrite(name, blobs.path(ref.sha256), target, self._traces, self._subjects)
                if done is None:
                    self._done[at] = None if sure else (ref, "")
                elif not done.removed and not done.blanked:
                    self._done[at] = ref, ""
                else:
                    note = f"{done.removed} records removed, {done.blanked} traces blanked"
                    self._done[at] = blobs.put(target), note
                    self.gone[ref.sha256] = done.gone
            finally:
                for leftover in folder.iterdir():
                    leftover.unlink()
                folder.rmdir()
        return self._done[at]

    def state_file(self, path: Path) -> str | None:
        """What was done to a file beside the blobs; None: nothing was to do. Raises InfrastructureError for
        one that a process holds."""
        if not self.traces_in(path):
            return None
        if busy(path):
            raise InfrastructureError(
                "a process holds a file with the person in it",
                where=str(path),
                hint="stop the gateway first",
            )
        if path.parent.name in _CACHES:
            path.unlink()
            return "cache thrown away"
        if path.suffix == ".lmdb" or path.name.endswith(".mdb"):
            return None  # its pages are sorted by what they hold; the last search will tell
        data, count = self._traces.blanked(path.read_bytes(), None)
        fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, path.stat().st_mode & 0o777
        )
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        return f"{count} traces written over"


def state_files(root: Path) -> Iterator[Path]:
    """Every file of a store folder that is neither blob nor ledger nor key."""
    for path in sorted(root.rglob("*")):
        first = path.relative_to(root).parts[0]
        if (
            first not in _ELSEWHERE
            and path.name not in _LEDGER
            and path.is_file()
            and not path.is_symlink()
        ):
            yield path


def busy(path: Path) -> bool:
    """Whether a process has a lock on a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """One erasure at a time; the kernel takes the lock from the dead. Raises InfrastructureError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InfrastructureError(
                "another erasure is going on in this store", where=str(path), hint="wait for it"
            ) from None
        yield
    finally:
        os.close(descriptor)
