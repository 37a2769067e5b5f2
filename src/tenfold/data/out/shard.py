"""One job tokenises one segment: for each split its ids and where its documents begin.

The files are those that `core.tokens` reads. The key is the segment's digest, the tokenizer's, and the rule of the
split, so of a grown snapshot only new segments are tokenised. Knows no snapshot.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.core.segment import read_batches
from tenfold.core.tokens import Width
from tenfold.data import operator, record
from tenfold.data.hub.job import job_key
from tenfold.data.hub.stage import columns_of
from tenfold.data.hub.writer import room
from tenfold.data.out.split import SPLITS, Split, columns_for, sides_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VERSION = "1"
"""Raised whenever the same texts may give other files."""
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class ShardJob:
    segment: str
    path: Path
    tokenizer: str
    """SHA-256 of its tokenizer.json."""
    tokenizer_path: Path
    end_id: int | None
    """Follows every document; None: nothing does."""
    width: Width
    split: Split

    @property
    def key(self) -> str:
        return job_key(
            "shard",
            version=VERSION,
            segment=self.segment,
            tokenizer=self.tokenizer,
            end_id=self.end_id,
            width=self.width,
            split=operator.identity(self.split),
        )

    @property
    def label(self) -> str:
        return f"segment {self.segment[:12]}"


def run_shard(job: ShardJob, folder: Path) -> Mapping[str, Any]:
    """`SPLIT.ids` and `SPLIT.offsets` for each split that has documents. Raises StoreFull."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(job.tokenizer_path))
    sources: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    with ExitStack() as stack:
        sides = {split: stack.enter_context(_Side(folder, split, job)) for split in SPLITS}
        for batch in read_batches(job.path, _columns(job.path), kept_only=True):
            split = sides_of(batch, job.split)
            texts = batch.column(record.TEXT).fill_null("")
            for name, side in sides.items():
                side.add(texts.filter(pc.equal(split, name)), vocabulary)
            sources.update(batch.column(record.SOURCE).to_pylist())
            licences.update(batch.column(record.LICENCE).to_pylist())
    return {
        "splits": {name: side.counts() for name, side in sides.items() if side.num_documents},
        "sources": dict(sorted(sources.items())),
        "licences": dict(sorted(licences.items())),
    }


def _columns(path: Path) -> list[str]:
    return [*columns_for(columns_of(path)), record.SOURCE, record.LICENCE, record.TEXT]


class _Side:
    """The two files of one split. Left without a document, it leaves no file."""

    def __init__(self, folder: Path, split: str, job: ShardJob) -> None:
        self._ids_path, self._offsets_path = folder / f"{split}.ids", folder / f"{split}.offsets"
        self._dtype = f"<u{job.width}"
        self._end = [] if job.end_id is None else [job.end_id]
        self.num_tokens = self.num_documents = self.num_bytes = 0

    def add(self, texts: pa.Array, vocabulary: Tokenizer) -> None:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts.slice(start, _TEXTS_AT_ONCE).to_pylist()
            ids: list[int] = []
            ends = array("Q")
            for encoding in vocabulary.encode_batch_fast(some, add_special_tokens=False):
                ids += encoding.ids
                ids += self._end
                ends.append(self.num_tokens + len(ids))
            self.num_tokens += len(ids)
            self.num_documents += len(some)
            self.num_bytes += sum(len(text.encode()) for text in some)
            with room(self._ids_path):
                self._ids.write(np.asarray(ids, dtype=self._dtype).tobytes())
                self._offsets.write(np.asarray(ends, dtype="<u8").tobytes())

    def counts(self) -> dict[str, int]:
        return {
            "num_tokens": self.num_tokens,
            "num_documents": self.num_documents,
            "num_bytes": self.num_bytes,
        }

    def __enter__(self) -> _Side:
        with room(self._ids_path):
            self._ids: BinaryIO = self._ids_path.open("wb")
            self._offsets: BinaryIO = self._offsets_path.open("wb")
            self._offsets.write(bytes(8))
        return self

    def __exit__(self, *_: object) -> None:
        with room(self._ids_path):
            self._ids.close()
            self._offsets.close()
        if not self.num_documents:
            self._ids_path.unlink()
            self._offsets_path.unlink()
