"""A file again without a person: records that hold a trace go whole, a trace in other text is blanked.

Records are lines of JSON Lines, rows of CSV and of Parquet. What has no such form (weights, token ids, an
index) cannot be rewritten and says so; it has to be made again from what it was made of.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import shutil
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tenfold.data.privacy.search import GZIP, PARQUET
from tenfold.data.privacy.traces import Traces

_LINES = (".jsonl", ".ndjson")
_TABLES = (".csv", ".tsv")
_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Rewritten:
    removed: int
    """Records that are not there any more."""
    blanked: int
    """Traces exchanged for `[ERASED]`."""


def rewrite(
    name: str, source: Path, target: Path, traces: Traces, subjects: Set[bytes]
) -> Rewritten | None:
    """Write `source`, called `name` in its asset, to `target`. None: it cannot be rewritten, nothing is
    written. Raises OSError."""
    with source.open("rb") as stream:
        head = stream.read(_HEAD)
    if head[:4] == PARQUET:
        from tenfold.data.privacy.segment import without

        return Rewritten(without(source, target, traces, subjects)[0], 0)
    if head[:2] == GZIP:
        return _gzipped(name, source, target, traces, subjects)
    if not is_text(head):
        return None
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _LINES:
        return _filtered(_lines(source), target, lambda line: _line_holds(line, traces))
    if suffix in _TABLES:
        return _filtered(_rows(source), target, lambda row: _row_holds(row, traces))
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


def _filtered(pieces: Iterator[bytes], target: Path, goes: Callable[[bytes], bool]) -> Rewritten:
    removed = 0
    with target.open("wb") as stream:
        for piece in pieces:
            if goes(piece):
                removed += 1
            else:
                stream.write(piece)
    return Rewritten(removed, 0)


def _lines(source: Path) -> Iterator[bytes]:
    with source.open("rb") as stream:
        yield from stream


def _line_holds(line: bytes, traces: Traces) -> bool:
    """The quick question first: most lines hold nothing like it."""
    if not traces.maybe(line):
        return False
    try:
        return traces.in_record(json.loads(line)) or traces.any(line)
    except (ValueError, RecursionError):
        return traces.any(line)


def _rows(source: Path) -> Iterator[bytes]:
    """Rows as they lie there; one with line ends between quotes is several lines."""
    with source.open("rb") as stream:
        held: list[bytes] = []
        for line in stream:
            held.append(line)
            if sum(piece.count(b'"') for piece in held) % 2 == 0:
                yield b"".join(held)
                held = []
        if held:
            yield b"".join(held)


def _row_holds(row: bytes, traces: Traces) -> bool:
    if not traces.maybe(row):
        return False
    text = row.decode(errors="replace")
    delimiter = (
        "\t"
        if text.count("\t") > text.count(",")
        else ";"
        if text.count(";") > text.count(",")
        else ","
    )
    cells = next(csv.reader([text.strip("\r\n")], delimiter=delimiter), [])
    return traces.any(row) or traces.in_record([cell.strip() for cell in cells])


def _gzipped(
    name: str, source: Path, target: Path, traces: Traces, subjects: Set[bytes]
) -> Rewritten | None:
    """Unpacked, rewritten, packed again without a time, so that the bytes depend on the content only."""
    plain, fresh = (
        target.with_name(target.name + ".plain"),
        target.with_name(target.name + ".fresh"),
    )
    try:
        try:
            with gzip.open(source) as packed, plain.open("wb") as stream:
                shutil.copyfileobj(packed, stream, 1 << 20)
        except EOFError:
            return None
        made = rewrite(name.removesuffix(".gz"), plain, fresh, traces, subjects)
        if made is not None:
            with (
                target.open("wb") as raw,
                fresh.open("rb") as content,
                gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            ):
                shutil.copyfileobj(content, packed, 1 << 20)
        return made
    finally:
        plain.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
