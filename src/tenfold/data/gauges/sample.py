"""Which records of a snapshot are looked at: a bounded number of rows from a bounded number of row groups.

A record is taken when the hash of its id is among the smallest (bottom-k sampling, Cohen & Kaplan 2007): that
is a simple random sample, the same one every time, and two snapshots that share records have them in both
samples, which makes a comparison paired. Of more row groups than `GROUPS` some are drawn in proportion to
their rows (sequential Poisson sampling, Ohlsson 1998) and the same number of rows from each, so every record
is as likely as any other; then the row groups are the clusters that intervals draw. Knows no gauge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenfold.core.asset import Snapshot
from tenfold.data import record
from tenfold.data.gauges import pixels

GROUPS = 64
"""Row groups read at most; at 8 MB each, half a gigabyte passes through."""
WINDOW = 4096
"""Characters of a text that are looked at, its first ones."""
IMAGES = 800
"""Images decoded at most."""
CONTENT = "content"
"""A column of the sample: digest of the whole payload, letter case and white space aside."""
LENGTH = "length"
"""A column of the sample: characters of the whole text."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Columns as Python values, rows in the order of their hashes: any first part is a random sample too."""

    columns: Mapping[str, Sequence[Any]]
    keys: Hashes
    cluster: npt.NDArray[np.int64]
    population: int
    """Kept records of the snapshot."""
    whole: bool
    """All of them are in the sample."""
    groups_read: int
    rows_met: int
    """Rows whose ids were read."""
    places: Sequence[tuple[str, int]]
    """Segment (its digest) and row of each, so that a report can show it as long as it is there."""

    def __len__(self) -> int:
        return len(self.keys)

    def column(self, name: str) -> Sequence[Any]:
        """All None where no segment has it."""
        return self.columns.get(name) or [None] * len(self)

    def has(self, name: str) -> bool:
        return name in self.columns


@dataclass(frozen=True, slots=True)
class _Unit:
    """A row group."""

    segment: str
    path: Path
    group: int
    rows: int
    first_row: int


def draw(
    snapshot: Snapshot, records: int, *, by: str = "record", columns: Sequence[str] | None = None
) -> Sample:
    """At most `records` of the kept records. `by`: `record` or `source`, what intervals draw. `columns`: those
    beside id; None: all but subjects. Raises BlobMissing."""
    units, all_of_them = _units(snapshot)
    per_unit = records if all_of_them else -(-records // max(1, len(units)))
    rows: list[tuple[np.uint64, int, int]] = []
    rows_met = 0
    for number, unit in enumerate(units):
        table = _read(unit, [record.ID, record.DROP])
        rows_met += table.num_rows
        keys = hashes(table.column(record.ID))
        stays = table.column(record.DROP).is_null().to_numpy(zero_copy_only=False)
        # From a part of the groups as many rows of each, dropped or not: only so all are equally likely.
        candidates = np.flatnonzero(stays) if all_of_them else np.arange(len(keys))
        nearest = candidates[np.argsort(keys[candidates], kind="stable")[:per_unit]]
        rows += [(keys[row], number, int(row)) for row in nearest if stays[row]]
    rows.sort()
    rows = rows[:records]
    found = _columns(units, rows, columns)
    keys = np.array([key for key, _, _ in rows], np.uint64)
    cluster = np.array([unit for _, unit, _ in rows] if not all_of_them else range(len(rows)))
    if by == "source":
        sources = list(found.get(record.SOURCE, ()))
        order = {name: index for index, name in enumerate(dict.fromkeys(sources))}
        cluster = np.array([order[name] for name in sources])
    return Sample(
        columns=found,
        keys=keys,
        cluster=cluster.astype(np.int64),
        population=snapshot.count,
        whole=all_of_them and len(rows) == snapshot.count,
        groups_read=len(units),
        rows_met=rows_met,
        places=[(units[unit].segment, units[unit].first_row + row) for _, unit, row in rows],
    )


def hashes(ids: pa.ChunkedArray | pa.Array) -> Hashes:
    """Of ids, equally spread whatever the ids are; equal on every machine."""
    plain = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if len(plain) and pc.all(pc.equal(pc.binary_length(plain), 16)).as_py():
        packed = np.array(plain.cast(pa.binary()).to_pylist(), dtype="S16").view(np.uint64)
        return _mixed(_mixed(packed[0::2]) ^ packed[1::2])
    digests = [
        hashlib.blake2b(str(each).encode(), digest_size=8).digest() for each in plain.to_pylist()
    ]
    return np.frombuffer(b"".join(digests), np.uint64)


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _units(snapshot: Snapshot) -> tuple[list[_Unit], bool]:
    """The row groups to read, and whether they are all there are."""
    segments = snapshot.segments()
    few = len(segments) <= GROUPS
    if not few:
        ranks = [_luck(each.sha256) / each.rows for each in segments]
        segments = [segments[i] for i in sorted(np.argsort(ranks, kind="stable")[:GROUPS].tolist())]
    units: list[_Unit] = []
    for segment in segments:
        path = snapshot.path(segment.file)
        footer = pq.read_metadata(path)
        sizes = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
        first = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        groups = [
            _Unit(segment.sha256, path, group, size, first[group])
            for group, size in enumerate(sizes)
            if size
        ]
        units += groups if few else [min(groups, key=_rank)]
    if few and len(units) > GROUPS:
        units = sorted(
            sorted(units, key=_rank)[:GROUPS], key=lambda unit: (unit.segment, unit.group)
        )
        return units, False
    return units, few


def _rank(unit: _Unit) -> float:
    return _luck(f"{unit.segment}/{unit.group}") / unit.rows


def _luck(name: str) -> float:
    """In [0, 1), the same for the same name: what was drawn in one snapshot is drawn in its neighbour."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _read(unit: _Unit, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(unit.path, memory_map=True) as file:
        return file.read_row_group(unit.group, columns=list(columns), use_threads=False)


def _columns(
    units: Sequence[_Unit], rows: Sequence[tuple[np.uint64, int, int]], wanted: Sequence[str] | None
) -> dict[str, list[Any]]:
    by_unit: dict[int, list[tuple[int, int]]] = {}
    for place, (_, number, row) in enumerate(rows):
        by_unit.setdefault(number, []).append((place, row))
    found: dict[str, list[Any]] = {}
    for number, pairs in by_unit.items():
        unit = units[number]
        names = pq.read_schema(unit.path).names
        chosen = [
            n
            for n in names
            if n != record.SUBJECTS and (wanted is None or n in (record.ID, *wanted))
        ]
        table = _read(unit, chosen).take(pa.array([row for _, row in pairs]))
        for name, values in _plain(table, [place for place, _ in pairs]).items():
            column = found.setdefault(name, [None] * len(rows))
            for (place, _), value in zip(pairs, values, strict=True):
                column[place] = value
    return found


def _plain(table: pa.Table, places: Sequence[int]) -> dict[str, list[Any]]:
    """Payloads small: texts cut, images described."""
    found: dict[str, list[Any]] = {}
    for name in table.schema.names:
        column = table.column(name)
        if name == record.TEXT:
            found[CONTENT] = [_digest(text) for text in column.to_pylist()]
            found[LENGTH] = pc.utf8_length(column).to_pylist()
            found[name] = pc.utf8_slice_codeunits(column, 0, WINDOW).to_pylist()
        elif name == record.IMAGE:
            images = column.to_pylist()
            found[CONTENT] = [_digest(image) for image in images]
            found[name] = [
                pixels.describe(image) if place < IMAGES and image is not None else None
                for place, image in zip(places, images, strict=True)
            ]
        elif name == record.TIME:
            found[name] = column.cast(pa.int64()).to_pylist()  # microseconds
        else:
            found[name] = column.to_pylist()
            if name == record.ROW:
                found[CONTENT] = [
                    _digest(json.dumps(row, sort_keys=True, default=str)) for row in found[name]
                ]
    return found


def _digest(payload: str | bytes | None) -> bytes | None:
    if payload is None:
        return None
    plain = " ".join(payload.lower().split()).encode() if isinstance(payload, str) else payload
    return hashlib.blake2b(plain, digest_size=12).digest()
