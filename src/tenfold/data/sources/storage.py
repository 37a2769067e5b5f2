"""Where files lie: a folder here or a bucket there. Lists them and opens them; knows no format.

Whatever cannot be listed comes out quarantined: closed folders, links in a circle, sockets and pipes. A
pipe is never opened, since reading it might never end.
"""

from __future__ import annotations

import datetime
import errno
import fnmatch
import glob
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import xxhash

from tenfold.data.sources.connector import Quarantined
from tenfold.errors import InputError

TARS = ("*.tar", "*.tar.gz", "*.tgz", "*.tar.bz2", "*.tar.xz", "*.tar.zst")
ZIPS = ("*.zip",)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file."""

    name: str
    """Below the root, with `/`, always valid text."""
    size: int
    modified: datetime.datetime | None
    stamp: Callable[[], str]
    """Another content, another stamp. Raises OSError."""
    open: Callable[[], BinaryIO]
    """Seekable. Raises OSError."""


class Storage(Protocol):
    def entries(self, match: tuple[str, ...]) -> Iterator[Entry | Quarantined]:
        """Files whose name fits one of the patterns, in an order that depends on names only.

        Raises InputError where the root cannot be reached.
        """


@dataclass(frozen=True, slots=True)
class Folder:
    """A file, a folder with all below it, or a pattern (`docs/**/*.md`) on this machine."""

    path: str

    def entries(self, match: tuple[str, ...]) -> Iterator[Entry | Quarantined]:
        root = Path(self.path)
        if os.path.lexists(root):
            if root.is_dir():
                yield from _below(root, match)
            else:
                yield _entry(root, readable(root.name))
            return
        anchor = _fixed_part(self.path)
        names = sorted(glob.glob(self.path, recursive=True))
        if not names:
            raise InputError(
                "nothing is there",
                where=self.path,
                hint="a file, a folder, or a pattern such as docs/**/*.md",
            )
        for name in names:
            if not os.path.isdir(name):
                yield _entry(Path(name), readable(os.path.relpath(name, anchor)))


def readable(name: str) -> str:
    """A file name as text for people: bytes that are no UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace(os.sep, "/")


def _fixed_part(pattern: str) -> str:
    """The folder that a pattern starts from: everything before its first wildcard."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return os.path.join(*parts[:fixed]) if fixed else "."


def _below(root: Path, match: tuple[str, ...]) -> Iterator[Entry | Quarantined]:
    """Each real folder once: real ones first, then through links, so that no circle can be entered."""
    known: set[tuple[int, int]] = set()
    links: list[Path] = []
    for start in _then(root, links):
        place = readable(str(start.relative_to(root)))
        if start is not root and (why := _cannot_enter(start, known)) is not None:
            yield Quarantined(place, *why)
            continue
        todo = [start]
        while todo:
            folder = todo.pop()
            name = readable(str(folder.relative_to(root)))
            try:
                known.add(_identity(folder))
                found = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                yield Quarantined(name, "io", f"cannot be listed: {error.strerror}")
                continue
            folders = []
            for entry in found:
                path = folder / entry.name
                if entry.is_symlink() and path.is_dir():
                    links.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif fits(readable(str(path.relative_to(root))), match):
                    yield _entry(path, readable(str(path.relative_to(root))))
            todo.extend(reversed(folders))


def _then(root: Path, links: list[Path]) -> Iterator[Path]:
    yield root
    while links:
        yield links.pop(0)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _cannot_enter(link: Path, known: set[tuple[int, int]]) -> tuple[str, str] | None:
    try:
        if _identity(link) in known:
            return "symlink_loop", f"leads to a folder that is read already: {os.readlink(link)!r}"
    except OSError as error:
        return "io", f"cannot be followed: {error.strerror}"
    return None


def is_archive(name: str) -> bool:
    return fits(name, TARS + ZIPS)


def fits(name: str, match: tuple[str, ...]) -> bool:
    """By the last part of the name, whatever its case; `*.txt` fits `a.txt.gz`, too."""
    base = name.rpartition("/")[2].lower()
    bare = base.removesuffix(".gz").removesuffix(".zst").removesuffix(".bz2").removesuffix(".xz")
    return any(
        fnmatch.fnmatchcase(base, pattern) or fnmatch.fnmatchcase(bare, pattern)
        for pattern in match
    )


def _entry(path: Path, name: str) -> Entry | Quarantined:
    try:
        status = path.stat()
    except OSError as error:  # a link into nowhere, or to itself
        cause = "symlink_loop" if error.errno == errno.ELOOP else "io"
        return Quarantined(name, cause, f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return Quarantined(name, "special_file", "a pipe, a socket or a device, not opened")
    return Entry(
        name=name,
        size=status.st_size,
        modified=datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC),
        stamp=lambda: _digest(path),
        open=lambda: path.open("rb"),
    )


def _digest(path: Path) -> str:
    """XXH3-128 of the content: no times, which a copy changes and an edit may not."""
    hasher = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return f"{hasher.hexdigest()}"
