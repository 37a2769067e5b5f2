"""Where a tenant's files and batches are on disk, and which batches are open.

    STATE/batch/open/BATCH                  a batch that has not ended: whose it is; locked by who runs it
    STATE/batch/tenants/HASH/files/         one tenant's files, and a record each
    STATE/batch/tenants/HASH/batches/       its batches

A tenant's folder is named by a hash, so no name of a tenant is a path. Knows nothing of what the files hold.
Blocking: call it off the event loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenfold.serve.batch.durable import private_folder, write_whole

_ORPHAN_S = 60.0
"""After this an open batch without a record is one whose creation failed."""
_SECRET_BYTES = 16
_ID = re.compile(r"(file-|batch_)[0-9a-f]{32}\Z")
_HASH = re.compile(r"[0-9a-f]{40}\Z")


def new_id(prefix: str) -> str:
    """128 random bits: nobody finds another's by trying."""
    return prefix + secrets.token_hex(_SECRET_BYTES)


def is_id(text: str, prefix: str) -> bool:
    """Whether a client's text can be one of ours; nothing else ever becomes part of a path."""
    return text.startswith(prefix) and _ID.match(text) is not None


class Home:
    """The folder of all of it. Safe for any number of processes at once."""

    def __init__(self, root: Path) -> None:
        """Raises OSError where folders cannot be made."""
        self.root = private_folder(root)
        self.open = private_folder(root / "open")
        self.tenants = private_folder(root / "tenants")

    def of_tenant(self, tenant: str) -> Path:
        return self.tenants / hashlib.sha256(tenant.encode()).hexdigest()[:40]

    def all_tenants(self) -> list[Path]:
        return [self.tenants / name for name in os.listdir(self.tenants)]

    @contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """One process and thread at a time, for what looks before it writes."""
        descriptor = os.open(private_folder(folder) / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def announce(self, id: str, folder: Path) -> None:
        """A batch that wants to be run. Before its record: who crashes in between leaves a name, no work."""
        write_whole(self.open / id, [folder.name.encode()])

    def announced(self) -> list[tuple[str, Path]]:
        """(id, tenant's folder) of each batch that has not ended."""
        found = []
        for id in os.listdir(self.open):
            if is_id(id, "batch_"):
                with contextlib.suppress(FileNotFoundError):
                    name = (self.open / id).read_text()
                    if _HASH.match(name):
                        found.append((id, self.tenants / name))
        return found

    def claim(self, id: str) -> Claim | None:
        """The right to run a batch; None while another has it. The kernel takes it back from the dead."""
        try:
            descriptor = os.open(self.open / id, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return Claim(self.open / id, descriptor)


class Claim:
    """Held until it is released, closed by `end`, or until the process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def orphaned(self) -> bool:
        """Announced so long ago that its record should be there."""
        return time.time() - os.fstat(self._descriptor).st_mtime > _ORPHAN_S

    def end(self) -> None:
        """The batch has ended and its record says so: nobody need look for it again."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def release(self) -> None:
        os.close(self._descriptor)
