"""A snapshot as a folder for others: Parquet in the layout of Hugging Face, JSON Lines, Croissant, a card.

What leaves: records that stay, without their keyed hashes of persons, rows of tables as columns of their own
(`row.NAME`). One file for each segment and split, named as Hugging Face expects it. A folder appears whole or not
at all. Knows no ledger.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tenfold.core.asset import Snapshot
from tenfold.core.segment import read_batches
from tenfold.data import record
from tenfold.data.hub.writer import SegmentWriter, room
from tenfold.data.out import card, croissant
from tenfold.data.out.croissant import DataFile
from tenfold.data.out.facts import WRITTEN_ONLY, About, Facts
from tenfold.data.out.split import SPLITS, sides_of
from tenfold.errors import InputError, UsageError

Format = Literal["hf", "croissant", "parquet", "jsonl"]
FORMATS: tuple[Format, ...] = ("hf", "croissant", "parquet", "jsonl")
Told = Callable[[float, str], None]
"""The share that is done, and what of."""
DATA = "data"
_INSIDE = (record.SUBJECTS, record.DROP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an export wrote."""

    files: tuple[DataFile, ...]
    splits: dict[str, int]
    """Split -> records."""


def export(
    snapshot: Snapshot, facts: Facts, about: About, folder: Path, form: Format, told: Told
) -> Written:
    """Write `folder`, which must be new or empty. Raises UsageError, StoreFull, and InputError for a
    snapshot of several modalities."""
    if facts.modality == "mixed":
        raise InputError(
            "records of several modalities do not fit into one table",
            where=snapshot.name,
            hint="export a snapshot of each",
        )
    with _whole(folder) as half:
        (half / DATA).mkdir()
        write = _json_lines if form == "jsonl" else _parquet
        files, splits, columns = write(snapshot, half, told)
        made = tuple(DataFile(name=n, sha256=s, num_bytes=b) for n, s, b in files)
        if form in ("hf", "croissant"):
            plain = croissant.croissant(facts, about, made, columns)
            _text(half / croissant.FILE, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
        if form == "hf":
            patterns = {split: f"{DATA}/{split}-*.parquet" for split in SPLITS if splits.get(split)}
            _text(half / card.FILE, card.card(facts, about, patterns))
    return Written(files=made, splits=splits)


def outside(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as others see it."""
    names, columns = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.name in _INSIDE:
            continue
        if field.name == record.ROW:
            for number, part in enumerate(field.type):
                names.append(f"{record.ROW}.{part.name}")
                columns.append(pc.struct_field(column, number))
        else:
            names.append(field.name)
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=names)


def sided(snapshot: Snapshot, told: Told) -> Iterator[tuple[int, str, pa.RecordBatch]]:
    """(number of the segment, split, its records as others see them), in order; no batch is empty."""
    segments = snapshot.segments()
    for number, segment in enumerate(segments):
        told(number / len(segments), f"segment {number + 1}/{len(segments)}")
        for batch in read_batches(snapshot.path(segment.file), kept_only=True):
            sides = sides_of(batch, WRITTEN_ONLY)
            for split in SPLITS:
                part = batch.filter(pc.equal(sides, split))
                if part.num_rows:
                    yield number, split, outside(part)
    told(1.0, "written")


Files = tuple[list[tuple[str, str, int]], dict[str, int], pa.Schema]


def _parquet(snapshot: Snapshot, half: Path, told: Told) -> Files:
    found: dict[str, list[Any]] = {split: [] for split in SPLITS}
    columns = pa.schema([])
    writers: dict[tuple[int, str], SegmentWriter] = {}
    with ExitStack() as stack:
        for number, split, batch in sided(snapshot, told):
            writer = writers.get((number, split))
            if writer is None:
                columns = _one_table(columns, batch.schema, snapshot)
                _close(writers, found, number)
                path = half / DATA / f"{split}-{number:05}"
                writer = stack.enter_context(SegmentWriter(path, columns))
                writers[number, split] = writer
            writer.write(batch)
        _close(writers, found, None)
    files, splits = [], {}
    for split, parts in found.items():
        for number, (path, segment) in enumerate(parts):
            name = f"{DATA}/{split}-{number:05}-of-{len(parts):05}.parquet"
            path.rename(half / name)
            files.append((name, segment.sha256, segment.num_bytes))
        if parts:
            splits[split] = sum(segment.rows for _, segment in parts)
    return files, splits, columns


def _one_table(before: pa.Schema, columns: pa.Schema, snapshot: Snapshot) -> pa.Schema:
    if len(before) and before != columns:
        raise InputError(
            "the records have not all the same columns",
            where=snapshot.name,
            seen=sorted(set(map(str, before)) ^ set(map(str, columns))),
            hint="export a snapshot of each table, or as jsonl",
        )
    return columns


def _close(
    writers: dict[tuple[int, str], SegmentWriter], found: dict[str, list[Any]], before: int | None
) -> None:
    """Files of segments that are through."""
    for number, split in [key for key in writers if before is None or key[0] < before]:
        writer = writers.pop((number, split))
        found[split].append((writer.path, writer.close()))


def _json_lines(snapshot: Snapshot, half: Path, told: Told) -> Files:
    splits: dict[str, int] = {}
    with ExitStack() as stack:
        streams: dict[str, Any] = {}
        for _, split, batch in sided(snapshot, told):
            path = half / DATA / f"{split}.jsonl"
            with room(path):
                if split not in streams:
                    streams[split] = stack.enter_context(path.open("w", encoding="utf-8"))
                splits[split] = splits.get(split, 0) + batch.num_rows
                for row in batch.to_pylist():
                    streams[split].write(json.dumps(row, ensure_ascii=False, default=_said) + "\n")
    files = []
    for split in splits:
        path = half / DATA / f"{split}.jsonl"
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append((f"{DATA}/{split}.jsonl", sha256, path.stat().st_size))
    return files, splits, pa.schema([])


def _said(value: Any) -> Any:
    """What JSON has no word for."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.isoformat()


def _text(path: Path, text: str) -> None:
    with room(path):
        path.write_text(text, encoding="utf-8")


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when all went well, and is gone otherwise."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("there is something already", where=str(folder), hint="name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield half
        half.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(half, folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
