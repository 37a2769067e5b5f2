"""What all sources made of files share: where they lie, what is new, what goes wrong around them.

A kind of file is a subclass with `MATCH` and `found`. Knows storage, archives and packing; no format.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tenfold.data.sources.bucket import S3, Bucket
from tenfold.data.sources.connector import Item, Quarantined
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.packing import Found, Packer
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.storage import TARS, ZIPS, Entry, Folder, Storage, is_archive
from tenfold.data.sources.stream import Stream
from tenfold.data.sources.trust import check
from tenfold.errors import TenfoldError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """Settings of every kind made of files."""

    path: str
    """A file, a folder with all below it, a pattern, `file://...` or `s3://bucket/prefix`."""
    licence: str
    name: str = ""
    """Default: the path."""
    authority: float = 0.5
    half_life_days: float | None = None
    match: tuple[str, ...] = ()
    """Only files (and members of archives) of these names, for instance `*.txt`; default: the kind's."""
    time: Literal["none", "modified"] = "none"
    """Where the content has no time of its own: none, or when the file was last changed."""
    limits: Limits = dataclasses.field(default_factory=Limits)
    s3: S3 = dataclasses.field(default_factory=S3)
    """How to reach `s3://`."""
    directory: str = dataclasses.field(default="", compare=False, repr=False)
    """Relative paths start here. Set by who reads the factory file; no setting."""

    MATCH: ClassVar[tuple[str, ...]] = ("*",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.path)
        check(self)

    def observe(self) -> Any:
        """Name -> [size, stamp], or [cause] where it cannot be read."""
        seen: dict[str, list[Any]] = {}
        for entry in self._entries():
            if isinstance(entry, Entry):
                stamp = _stamp(entry)
                seen[entry.name] = (
                    [stamp.cause] if isinstance(stamp, Quarantined) else [entry.size, stamp]
                )
            else:
                seen[entry.place] = [entry.cause]
        return seen

    def read(self, cursor: str | None) -> Generator[Item, None, str | None]:
        """Files that are new or changed. The cursor is the stamp of every file."""
        before: dict[str, str] = json.loads(cursor) if cursor else {}
        after: dict[str, str] = {}
        shape = self.shape()
        packer = Packer(self.name, self.licence, self.authority, self.limits, shape)
        for entry in self._entries():
            stamp = _stamp(entry) if isinstance(entry, Entry) else entry
            if isinstance(stamp, Quarantined) or isinstance(entry, Quarantined):
                closed = stamp if isinstance(stamp, Quarantined) else entry
                assert isinstance(closed, Quarantined)
                after[closed.place] = f"!{closed.cause}"
                if before.get(closed.place) != after[closed.place]:
                    yield from packer.add(closed)
                continue
            after[entry.name] = stamp
            if before.get(entry.name) == stamp:
                continue
            for found in self._inside(entry, shape):
                if self.time == "modified" and isinstance(found, Found) and found.time is None:
                    found.time = entry.modified
                yield from packer.add(found)
        yield from packer.flush()
        return json.dumps(after, sort_keys=True)

    def shape(self) -> Shape | None:
        """For rows: a fresh one."""
        return None

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        """What one file holds, in order."""
        raise NotImplementedError

    def _entries(self) -> Iterator[Entry | Quarantined]:
        return self._storage().entries((self.match or self.MATCH) + TARS + ZIPS)

    def _storage(self) -> Storage:
        if self.path.startswith("s3://"):
            return Bucket(self.path, self.s3)
        return Folder(os.path.join(self.directory, self.path.removeprefix("file://")))

    def _inside(self, entry: Entry, shape: Shape | None) -> Iterator[Found | Quarantined]:
        try:
            with entry.open() as file:
                stream = Stream(entry.name, file, self.limits)
                if is_archive(entry.name):
                    from tenfold.data.sources.archives import members

                    for member in members(stream, self.match or self.MATCH):
                        yield from (
                            [member]
                            if isinstance(member, Quarantined)
                            else self._guarded(member, shape)
                        )
                    yield from _faults(stream)
                else:
                    yield from self._guarded(stream, shape)
        except OSError as error:
            yield Quarantined(entry.name, "io", f"cannot be read: {error.strerror or error}")

    def _guarded(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        """One file's content; whatever a parser's library raises on it ends this file, not the reading."""
        try:
            yield from self.found(stream, shape)
        except TenfoldError:
            raise
        except OSError as error:
            if (
                error.errno is not None
            ):  # the system's; libraries raise it for bad data, without a number
                raise
            yield Quarantined(stream.place, "corrupt", f"its reader gave up: {error}"[:500])
        except BaseException as error:
            # A panic of a Rust library (fastwarc, resiliparse) is no Exception, but no signal either.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            fact = f"its reader gave up: {type(error).__name__}: {error}"
            yield Quarantined(
                stream.place, "reader", fact.encode("utf-8", "replace").decode()[:500]
            )
        yield from _faults(stream)


def _faults(stream: Stream) -> Iterator[Quarantined]:
    """An early end that nobody has spoken of yet."""
    if fault := stream.fault():
        yield Quarantined(stream.place, fault.cause, fault.fact)


def _stamp(entry: Entry) -> str | Quarantined:
    try:
        return entry.stamp()
    except OSError as error:
        return Quarantined(entry.name, "io", f"cannot be read: {error.strerror or error}")
