"""A file again without a person: records that hold a trace go whole, a trace in other text is blanked.

Records are lines of JSON Lines, rows of CSV and of Parquet. What has no such form (weights, token ids, an
index) cannot be rewritten and says so; it has to be made again from what it was made of.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tenfold.data.privacy.search import GZIP, PARQUET
from tenfold.data.privacy.traces import Traces

OF_HUB = ("segments/", "lost/", "quarantine/")
"""Where a snapshot has its Parquet files."""
_LINES = (".jsonl", ".ndjson")
_TABLES = (".csv", ".tsv")
_HEAD = 1 << 16
_PIECE = 1 << 20
_LEVELS = {b"\x02": 9, b"\x04": 1}
"""Extra flags of gzip's header (RFC 1952, 2.3.1) -> how hard it was packed; 6 is between."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    removed: int
    """Records that are not there any more."""
    blanked: int
    """Traces exchanged for `[ERASED]`."""
    gone: tuple[bytes, ...] = ()
    """The lines of JSON Lines that went, for whoever keeps count of what they hold."""


def rewrite(
    name: str, source: Path, target: Path, traces: Traces, subjects: Set[bytes]
) -> Rewritten | None:
    """Write `source`, called `name` in its asset, to `target`. None: it cannot be rewritten, nothing is
    written. Raises OSError."""
    with source.open("rb") as stream:
        head = stream.read(_HEAD)
    if head[:4] == PARQUET:
        from tenfold.data.privacy.segment import without

        of_hub = name.startswith(OF_HUB)
        return Rewritten(without(source, target, traces, subjects, of_hub=of_hub)[0], 0)
    if head[:2] == GZIP:
        return _gzipped(name, source, target, traces, subjects)
    if not is_text(head):
        return None
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _LINES:
        return _filtered(source, target, traces, _lines_with)
    if suffix in _TABLES:
        return _filtered(source, target, traces, _rows_with)
    data, count = traces.blanked(source.read_bytes())
    target.write_bytes(data)
    return Rewritten(0, count)


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is UTF-8 text."""
    if b"\0" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _filtered(
    source: Path,
    target: Path,
    traces: Traces,
    judged: Callable[[bytes, Traces], Iterator[tuple[int, int]]],
) -> Rewritten:
    """Without the stretches that `judged` names, megabytes of whole lines at a time."""
    gone: list[bytes] = []
    with source.open("rb") as stream, target.open("wb") as kept:
        while piece := stream.read(_PIECE):
            piece += stream.readline()
            while judged is _rows_with and piece.count(b'"') % 2 and (line := stream.readline()):
                piece += line  # to the end of a row with line ends between quotes
            at = 0
            for start, end in judged(piece, traces):
                kept.write(piece[at:start])
                gone.append(piece[start:end])
                at = end
            kept.write(piece[at:])
    return Rewritten(len(gone), 0, tuple(gone) if judged is _lines_with else ())


def _lines_with(piece: bytes, traces: Traces) -> Iterator[tuple[int, int]]:
    """(start, end) of the lines of JSON that hold a trace, in order. Only those near one are parsed."""
    taken = 0
    for at in sorted(traces.places(piece)):
        if at < taken:
            continue
        start, end = piece.rfind(b"\n", 0, at) + 1, piece.find(b"\n", at) + 1
        taken = end or len(piece)
        line = piece[start:taken]
        try:
            holds = traces.any(line) or traces.in_record(json.loads(line))
        except (ValueError, RecursionError):
            holds = False
        if holds:
            yield start, taken


def _rows_with(piece: bytes, traces: Traces) -> Iterator[tuple[int, int]]:
    """(start, end) of the rows of CSV that hold a trace, in order."""
    if not traces.maybe(piece):
        return
    start = end = quotes = 0
    for line in piece.splitlines(keepends=True):
        end += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            row = piece[start:end]
            if traces.maybe(row) and (traces.any(row) or traces.in_record(_cells(row))):
                yield start, end
            start = end
    if start < end and traces.any(piece[start:end]):
        yield start, end


def _cells(row: bytes) -> list[str]:
    text = row.decode(errors="replace")
    delimiter = max(",;\t", key=text.count)
    return [
        cell.strip() for line in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in line
    ]


def _gzipped(
    name: str, source: Path, target: Path, traces: Traces, subjects: Set[bytes]
) -> Rewritten | None:
    """Unpacked, rewritten, packed again without a time, so that the bytes depend on the content only."""
    with source.open("rb") as stream:
        level = _LEVELS.get(stream.read(9)[8:], 6)
    plain, fresh = (
        target.with_name(target.name + ".plain"),
        target.with_name(target.name + ".fresh"),
    )
    try:
        try:
            with gzip.open(source) as packed, plain.open("wb") as stream:
                shutil.copyfileobj(packed, stream, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return None
        made = rewrite(name.removesuffix(".gz"), plain, fresh, traces, subjects)
        if made is not None:
            with (
                target.open("wb") as raw,
                fresh.open("rb") as content,
                gzip.GzipFile("", "wb", level, raw, mtime=0) as packed,
            ):
                shutil.copyfileobj(content, packed, 1 << 20)
        return made
    finally:
        plain.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
