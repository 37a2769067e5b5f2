"""Copies among the images of a snapshot, as jobs with file shuffles between, beside those for texts.

    hashes    segment   -> the hash of every image and those it is looked for by
    alike     hashes    -> groups: what any chain of near hashes joins
    pictures  segment   -> signatures of the images that are in a group, scattered by group
    compared  partition -> whole groups, through `images.copies`: who goes, and for whom

and then `duplicates.marked`. Images are in one group when they could be copies, so the findings are those over all
signatures at once. What must fit in a worker: the hashes (400 bytes an image), and a partition of groups with
its signatures (4 kB an image). No image is opened: `data.refine` with the operator `image` came before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.core.segment import single
from tenfold.data import record
from tenfold.data.dedup.clusters import forest
from tenfold.data.hub.duplicates import (
    FINDINGS,
    PAIRS,
    SIMILARITY,
    TWIN,
    Files,
    found_in,
    marked,
    numbered,
    with_roots,
    written,
)
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.shuffle import NODE, ROW, gather, of_segment, scatter
from tenfold.data.hub.writer import write_segment
from tenfold.data.images import nearby, phash
from tenfold.data.images.copies import CAUSE, copies
from tenfold.data.images.facts import HEIGHT, SIGNATURE, WIDTH
from tenfold.data.images.neardup import NearDuplicates
from tenfold.data.images.signature import unpack

VERSION = "1"
"""Raised whenever the findings may differ for the same records."""

_QUERIES = len(phash.VIEWS) * phash.ORIENTATIONS
_HASHES = pa.schema(
    [(ROW, pa.uint64()), ("hash", pa.uint64()), ("queries", pa.list_(pa.uint64(), _QUERIES))]
)
_ABOUT = (record.ID, record.AUTHORITY, record.TIME)
_LOOKS = {SIGNATURE: pa.binary(), WIDTH: pa.uint32(), HEIGHT: pa.uint32()}
_PICTURES = pa.schema(
    [
        ("group", pa.uint64()),
        (ROW, pa.uint64()),
        *(record.ABOUT.field(name) for name in _ABOUT),
        *_LOOKS.items(),
    ]
)


@dataclass(frozen=True, slots=True)
class CopiesJob:
    """One job of one kind; what it does not need is empty. As `duplicates.DedupJob`."""

    kind: str
    config: NearDuplicates
    partitions: int = 1
    number: int = 0
    segment: tuple[str, Path] | None = None
    files: Files = ()

    @property
    def key(self) -> str:
        return job_key(
            f"copies.{self.kind}",
            version=VERSION,
            config=asdict(self.config),
            partitions=self.partitions,
            number=None if self.kind == "hashes" else self.number,
            segment=self.segment[0] if self.segment else None,
            files=[digest for digest, _ in self.files],
        )

    @property
    def label(self) -> str:
        return f"copies.{self.kind} {self.number}"

    @property
    def path(self) -> Path:
        assert self.segment is not None
        return self.segment[1]

    @property
    def paths(self) -> list[Path]:
        return [path for _, path in self.files]


def run_copies(job: CopiesJob, folder: Path) -> Mapping[str, Any]:
    """One segment-shaped file, whatever the kind."""
    return _KINDS[job.kind](job, folder / FILE)


def _hashes(job: CopiesJob, path: Path) -> Mapping[str, Any]:
    def batches() -> Iterator[pa.RecordBatch]:
        for rows, batch in numbered(job.path, [SIGNATURE, record.DROP]):
            there = batch.column(SIGNATURE).is_valid().to_numpy(zero_copy_only=False)
            signed = unpack(batch.column(SIGNATURE).drop_null().to_pylist())
            looked_at = ~signed.flat()
            luma = signed.luma[looked_at]
            queries = phash.query_hashes(luma).ravel() if len(luma) else np.empty(0, np.uint64)
            hashes = phash.hashes(luma) if len(luma) else np.empty(0, np.uint64)
            columns = [
                pa.array(rows[there][looked_at]),
                pa.array(hashes),
                pa.FixedSizeListArray.from_arrays(pa.array(queries, pa.uint64()), _QUERIES),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=_HASHES)

    return write_segment(path, batches(), _HASHES).to_json()


def _alike(job: CopiesJob, path: Path) -> Mapping[str, Any]:
    parts = [pq.read_table(each) for each in job.paths]
    nodes = np.concatenate(
        [part[ROW].to_numpy() | np.uint64(n << 32) for n, part in enumerate(parts)]
    )
    table = pa.concat_tables(parts).combine_chunks()
    if not len(table):
        return written(PAIRS, (nodes, nodes), path)
    queries = table["queries"].combine_chunks().flatten().to_numpy().reshape(-1, _QUERIES)
    near = nearby.pairs(table["hash"].to_numpy(), queries, job.config.radius)
    root, node = forest(nodes[near[:, 0]], nodes[near[:, 1]])
    return written(PAIRS, with_roots(root, node), path)


def _pictures(job: CopiesJob, path: Path) -> Mapping[str, Any]:
    groups = pq.read_table(job.paths[0])
    nodes = groups[NODE].to_numpy()
    own = of_segment(nodes, job.number)
    roots = groups["root"].to_numpy()[own]
    names = [*_ABOUT, *_LOOKS]

    def batches() -> Iterator[pa.RecordBatch]:
        for rows, batch in numbered(job.path, [*names, record.DROP]):
            place, inside = found_in(nodes[own], rows)
            taken = batch.filter(pa.array(inside))
            columns = [pa.array(roots[place[inside]]), pa.array(rows[inside])]
            columns += [taken.column(name) for name in names]
            yield pa.RecordBatch.from_arrays(columns, schema=_PICTURES)

    return scatter(batches(), "group", job.partitions, path, _PICTURES).to_json()


def _compared(job: CopiesJob, path: Path) -> Mapping[str, Any]:
    pictures = gather(job.paths, job.number)
    if not len(pictures):
        return write_segment(path, [], FINDINGS).to_json()
    none = pa.nulls(len(pictures), pa.string())
    found = copies(pictures.append_column(record.DROP, none), job.config)
    goes = {
        NODE: pictures[NODE].take(found["row"]),
        "cause": pa.array([CAUSE] * len(found), pa.string()),
        TWIN: found["kept"],
        SIMILARITY: pa.nulls(len(found), pa.float32()),
    }
    return write_segment(path, [single(pa.table(goes, FINDINGS).sort_by(NODE))], FINDINGS).to_json()


_KINDS = {
    "hashes": _hashes, "alike": _alike, "pictures": _pictures, "compared": _compared, "marked": marked,
}  # fmt: skip
