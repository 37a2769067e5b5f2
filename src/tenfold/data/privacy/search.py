"""Searches files for a person, through gzip, zip, zstd and Parquet, in pieces: memory stays small.

What cannot be opened (a damaged archive, one that nests deeper than three) is searched as the bytes it is.
Inside PDFs and images nothing is unpacked.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tenfold.data.privacy.traces import REACH_BYTES, Traces

_PIECE = 4 << 20
_DEEPEST = 3
GZIP, ZIP, ZSTD, PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"PAR1"

Opener = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True, slots=True)
class Searched:
    traces: int
    """Bytes that belong to a trace, those in packed parts included."""
    names: bool
    """Whether all words of one of their names are in it, wherever: fields of a row, say."""
    num_bytes: int
    """Of the file as it lies there."""
    num_read: int
    """Searched in all, packed parts once more as what they hold."""


def search(path: Path, traces: Traces) -> Searched:
    """How much of a person is in a file. Raises OSError."""
    found = read = 0
    words: set[str] = set()
    for strand in _strands(lambda: path.open("rb"), 0):
        tail = b""
        for piece in strand:
            read += len(piece)
            data = tail + piece
            for start, end in traces.matches(data):
                if end > len(tail):  # else it was counted with the piece before
                    found += end - start
            if not traces.named_by(words):
                words |= traces.name_words(data)
            tail = data[-REACH_BYTES:]
    return Searched(found, traces.named_by(words), path.stat().st_size, read)


def _strands(opener: Opener, depth: int) -> Iterator[Iterator[bytes]]:
    """The bytes as they are, and those of whatever is packed in them, each in pieces."""
    careful = _while_it_can if depth else _as_it_is
    head = next(careful(_pieces(opener, 4)), b"")
    if depth < _DEEPEST:
        if head.startswith(GZIP):
            yield from _strands(lambda: _gunzipped(opener), depth + 1)
        elif head == ZIP:
            for member in _members(opener):
                yield from _strands(partial(_member, opener, member), depth + 1)
        elif head == ZSTD:
            yield from _strands(lambda: _zstd(opener), depth + 1)
        elif head == PARQUET:
            from tenfold.data.privacy.segment import column_pieces

            yield _while_it_can(column_pieces(opener))
    yield careful(_pieces(opener))


def _pieces(opener: Opener, num_bytes: int = _PIECE) -> Iterator[bytes]:
    """What a packed stream gave before it broke comes out, too."""
    with opener() as stream:
        read = getattr(stream, "read1", stream.read)
        held: list[bytes] = []
        size = 0
        try:
            while piece := read(num_bytes):
                held.append(piece)
                size += len(piece)
                if size >= num_bytes:
                    yield b"".join(held)
                    held, size = [], 0
        except (OSError, EOFError, zlib.error):
            if held:
                yield b"".join(held)
            raise
        if held:
            yield b"".join(held)


def _while_it_can(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What came out before a packed part proved damaged is searched; the rest is searched as it lies."""
    try:
        yield from pieces
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, ValueError):
        return


def _as_it_is(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A file that cannot be read is no file without traces."""
    return pieces


def _members(opener: Opener) -> list[str]:
    try:
        with opener() as stream, zipfile.ZipFile(stream) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, EOFError, ValueError):
        return []


@contextmanager
def _gunzipped(opener: Opener) -> Iterator[BinaryIO]:
    with opener() as raw, gzip.GzipFile(fileobj=raw) as stream:
        yield stream  # type: ignore[misc]


@contextmanager
def _member(opener: Opener, name: str) -> Iterator[BinaryIO]:
    with opener() as raw, zipfile.ZipFile(raw) as archive, archive.open(name) as stream:
        yield stream  # type: ignore[misc]


@contextmanager
def _zstd(opener: Opener) -> Iterator[BinaryIO]:
    import pyarrow as pa  # the one zstd there is below Python 3.14

    with opener() as raw, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
        yield stream
