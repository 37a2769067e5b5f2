"""Duplicates in a snapshot of any size: the rungs of `data.dedup` as jobs, with file shuffles between.

    keys     segment   -> its records' buckets, scattered by key
    forests  partition -> who meets in a bucket, as a forest (at most one pair for each record)
    groups   forests   -> their union: the records that any chain of buckets joins
    members  segment   -> those of its records that are in a group, scattered by group
    judged   partition -> whole groups, through `dedup.ladder`: who goes, for whom, and why
    similar  segments  -> what stays, compared with all else that does; and the findings of both
    marked   segment   -> the segment with what was found as columns

A bucket lies in one group and a group in one partition, so the findings are those of the ladder over all records
at once. What must fit in a worker: the keys of a segment, a partition of groups, and the largest group; and
where similar texts are searched for, all texts that stay (SIMILAR_BYTES).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenfold.core.segment import read_batches, single
from tenfold.data import operator, record
from tenfold.data.dedup.bands import bands
from tenfold.data.dedup.clusters import forest
from tenfold.data.dedup.exact import exact_keys
from tenfold.data.dedup.ladder import Ladder, duplicates
from tenfold.data.dedup.signatures import signatures
from tenfold.data.dedup.texts import texts_of
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.shuffle import NODE, ROW, gather, of_segment, scatter
from tenfold.data.hub.stage import write_first
from tenfold.data.hub.writer import write_segment
from tenfold.errors import InputError

VERSION = "2"
"""Raised whenever the findings may differ for the same records."""
TWIN, SIMILARITY = "dedup.twin", "dedup.similarity"
"""Columns: id of the record that stays for one that goes, and how similar they are."""

SIMILAR_BYTES = 64 << 20
"""Of texts that are compared all with all: about 2 GB in memory."""

_KEYS = pa.schema([("key", pa.uint64()), (ROW, pa.uint64())])
PAIRS = pa.schema([("root", pa.uint64()), (NODE, pa.uint64())])
_NEEDED = (record.ID, record.TIME, record.AUTHORITY, record.TEXT)
_MEMBERS = pa.schema(
    [("group", pa.uint64()), (ROW, pa.uint64()), *(record.schema("text").field(n) for n in _NEEDED)]
)
FINDINGS = pa.schema(
    [(NODE, pa.uint64()), ("cause", pa.string()), (TWIN, pa.string()), (SIMILARITY, pa.float32())]
)

Files = tuple[tuple[str, Path], ...]
"""Digest and place of each."""


@dataclass(frozen=True, slots=True)
class DedupJob:
    """One job of one kind; what it does not need is empty."""

    kind: str
    ladder: Ladder
    partitions: int = 1
    """For what scatters: of the partitions to come."""
    number: int = 0
    """Of the segment in the snapshot, or of the partition."""
    segment: tuple[str, Path] | None = None
    files: Files = ()

    @property
    def key(self) -> str:
        return job_key(
            f"dedup.{self.kind}",
            version=VERSION,
            ladder=asdict(self._ladder),
            partitions=self.partitions,
            # The keys of a segment are good wherever it stands.
            number=None if self.kind == "keys" else self.number,
            segment=self.segment[0] if self.segment else None,
            files=[digest for digest, _ in self.files],
        )

    @property
    def _ladder(self) -> Ladder:
        """Without what does not decide this job's bytes: who stays is nothing to those that only meet."""
        if self.kind in ("keys", "forests", "groups", "members"):
            return replace(self.ladder, similar=None, keep=())
        return self.ladder

    @property
    def label(self) -> str:
        return f"dedup.{self.kind} {self.number}"

    @property
    def path(self) -> Path:
        assert self.segment is not None
        return self.segment[1]

    @property
    def paths(self) -> list[Path]:
        return [path for _, path in self.files]


def run_dedup(job: DedupJob, folder: Path) -> Mapping[str, Any]:
    """One segment-shaped file, whatever the kind."""
    return _KINDS[job.kind](job, folder / FILE)


def _keys(job: DedupJob, path: Path) -> Mapping[str, Any]:
    def batches() -> Iterator[pa.RecordBatch]:
        for rows, batch in numbered(job.path, [record.TEXT, record.DROP]):
            texts = texts_of(batch.column(record.TEXT))
            equal = exact_keys(texts)
            keys, nodes = [equal[:, 0] ^ equal[:, 1]], [rows]
            if (near := job.ladder.near) is not None:
                signed = signatures(texts, permutations=near.permutations, words=near.words)
                found = bands(signed, rows.astype(np.int64), num_bands=near.bands, rows=near.rows)
                keys.append(found.key)
                nodes.append(found.row.astype(np.uint64))
            yield pa.RecordBatch.from_arrays(
                [pa.array(np.concatenate(keys)), pa.array(np.concatenate(nodes))], schema=_KEYS
            )

    return scatter(batches(), "key", job.partitions, path, _KEYS).to_json()


def _forests(job: DedupJob, path: Path) -> Mapping[str, Any]:
    table = gather(job.paths, job.number)
    key, node = table["key"].to_numpy(), table[NODE].to_numpy()
    order = np.lexsort((node, key))
    key, node = key[order], node[order]
    same = np.flatnonzero(key[1:] == key[:-1])
    return written(PAIRS, forest(node[same], node[same + 1]), path)


def _groups(job: DedupJob, path: Path) -> Mapping[str, Any]:
    found = pa.concat_tables([pq.read_table(each) for each in job.paths])
    return written(
        PAIRS, with_roots(*forest(found["root"].to_numpy(), found[NODE].to_numpy())), path
    )


def _members(job: DedupJob, path: Path) -> Mapping[str, Any]:
    groups = pq.read_table(job.paths[0])
    nodes = groups[NODE].to_numpy()
    own = of_segment(nodes, job.number)
    roots = groups["root"].to_numpy()[own]

    def batches() -> Iterator[pa.RecordBatch]:
        for rows, batch in numbered(job.path, [*_NEEDED, record.DROP]):
            place, inside = found_in(nodes[own], rows)
            taken = batch.filter(pa.array(inside))
            columns = [pa.array(roots[place[inside]]), pa.array(rows[inside])]
            columns += [taken.column(name) for name in _NEEDED]
            yield pa.RecordBatch.from_arrays(columns, schema=_MEMBERS)

    return scatter(batches(), "group", job.partitions, path, _MEMBERS).to_json()


def _judged(job: DedupJob, path: Path) -> Mapping[str, Any]:
    members = gather(job.paths, job.number)
    if not members.num_rows:
        return write_segment(path, [], FINDINGS).to_json()
    goes = _going(members, replace(job.ladder, similar=None))
    return write_segment(path, [single(goes)], FINDINGS).to_json()


def _going(records: pa.Table, ladder: Ladder) -> pa.Table:
    """FINDINGS of the records that go."""
    found = duplicates(records, ladder)
    columns = [
        records[NODE],
        found.cause,
        records[record.ID].take(pa.array(found.twin)),
        pa.array(found.similarity, pa.float32()),
    ]
    goes = pa.Table.from_arrays(columns, schema=FINDINGS).filter(pc.is_valid(found.cause))
    return goes.sort_by(NODE)


def _similar(job: DedupJob, path: Path) -> Mapping[str, Any]:
    """`files`: those of `judged`, one for each partition, then the segments."""
    judged, segments = job.paths[: job.partitions], job.paths[job.partitions :]
    before = pa.concat_tables([pq.read_table(each) for each in judged]).sort_by(NODE)
    gone = before[NODE].to_numpy()
    parts = []
    held = 0
    for number, segment in enumerate(segments):
        for rows, batch in numbered(segment, [*_NEEDED, record.DROP]):
            nodes = rows | np.uint64(number << 32)
            part = batch.select(list(_NEEDED)).append_column(NODE, pa.array(nodes))
            part = part.filter(pa.array(~np.isin(nodes, gone)))
            held += part.column(record.TEXT).nbytes
            if held > SIMILAR_BYTES:
                raise InputError(
                    "too much text to search for similar ones",
                    where=job.label,
                    seen=f"more than {SIMILAR_BYTES >> 20} MB stay after equal and near ones",
                    hint="cut what need not stay first, or leave similar_threshold at 0",
                )
            parts.append(part)
    if not parts:  # all of it was dropped before
        return write_segment(path, [], FINDINGS).to_json()
    fresh = _going(pa.Table.from_batches(parts), replace(job.ladder, near=None))
    # Who went for a record that goes here points to the one that stays for both.
    id_of = {
        node: name
        for part in parts
        for node, name in zip(part[NODE].to_pylist(), part[record.ID].to_pylist(), strict=True)
    }
    later = {id_of[row[NODE]]: row for row in fresh.to_pylist()}
    earlier = before.to_pylist()
    for row in earlier:
        if next_ := later.get(row[TWIN]):
            row[TWIN] = next_[TWIN]
            row[SIMILARITY] = min(row[SIMILARITY], next_[SIMILARITY])
    both = pa.concat_tables([pa.Table.from_pylist(earlier, schema=FINDINGS), fresh])
    return write_segment(path, [single(both.sort_by(NODE))], FINDINGS).to_json()


def marked(job: Any, path: Path) -> Mapping[str, Any]:
    """The segment of a job, with the findings in its files as columns."""
    found = pa.concat_tables([pq.read_table(each) for each in job.paths]).sort_by(NODE)
    own = of_segment(found[NODE].to_numpy(), job.number)
    found = found.slice(own.start, own.stop - own.start)
    nodes = found[NODE].to_numpy()

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in read_batches(job.path):
            rows = np.arange(first, first + batch.num_rows, dtype=np.uint64)
            first += batch.num_rows
            place, inside = found_in(nodes, rows)
            # A null index takes a null.
            taken = single(found.take(pa.array(place, mask=~inside)))
            for name in (TWIN, SIMILARITY):
                batch = operator.with_column(batch, name, taken.column(name))
            for cause in sorted(set(found["cause"].to_pylist())):
                batch = operator.dropped(batch, pc.equal(taken.column("cause"), cause), cause)
            yield batch

    return write_first(path, batches()).to_json()


def with_roots(root: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A forest in which every root is a node too, by node."""
    heads = np.unique(root)
    root, node = np.concatenate((root, heads)), np.concatenate((node, heads))
    order = np.argsort(node)
    return root[order], node[order]


def found_in(nodes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each row (uint64) of a segment stands among that segment's ascending nodes, and whether it does."""
    wanted = nodes & np.uint64(2**32 - 1)
    place = np.searchsorted(wanted, rows)
    inside = np.zeros(len(rows), bool)
    within = place < len(wanted)
    inside[within] = wanted[place[within]] == rows[within]
    return place, inside


def numbered(path: Path, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """Batches without the records dropped before, with the row numbers of those that are left, uint64."""
    first = 0
    for batch in read_batches(path, columns):
        stays = batch.column(record.DROP).is_null()
        rows = np.flatnonzero(stays.to_numpy(zero_copy_only=False)) + first
        first += batch.num_rows
        yield rows.astype(np.uint64), batch.filter(stays)


def written(
    schema: pa.Schema, columns: tuple[np.ndarray, np.ndarray], path: Path
) -> Mapping[str, Any]:
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column.astype(np.uint64)) for column in columns], schema=schema
    )
    return write_segment(path, [batch], schema).to_json()


_KINDS = {
    "keys": _keys, "forests": _forests, "groups": _groups,
    "members": _members, "judged": _judged, "similar": _similar, "marked": marked,
}  # fmt: skip
