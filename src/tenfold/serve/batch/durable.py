"""Small files that are whole or not there, whatever ends the process or the machine.

It knows paths and bytes. Blocking: call it off the event loop.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".new-"
"""How names begin that were being written when something ended."""


def write_whole(path: Path, parts: Iterable[bytes | memoryview], *, sync: bool = True) -> None:
    """Write under another name, fsync, rename, fsync the folder. Without `sync` it survives the end of the
    process, not of the machine. Raises OSError, and leaves nothing then."""
    with staged(path.parent, parts, sync=sync) as temporary:
        temporary.replace(path)
    if sync:
        sync_folder(path.parent)


@contextmanager
def staged(
    folder: Path, parts: Iterable[bytes | memoryview], *, sync: bool = True
) -> Iterator[Path]:
    """A whole file under a name that is nobody's, to be renamed within; else it is removed. Raises OSError."""
    temporary = folder / (TEMPORARY + secrets.token_hex(8))
    try:
        with open(temporary, "xb", opener=_private) as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make renames and removals in it last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """The folder, made for this user alone where it was missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
