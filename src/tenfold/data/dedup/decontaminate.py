"""Keeps evaluation sets out of training: a record that has a long run of words in common with one goes.

Runs of 13 words, GPT-3's longest (Brown et al. 2020, appendix C: 8 to 13, one length for each set); here
shorter items of 8 words or more are looked for whole. A hard gate: a set that is
not there, is not what it was, or has nothing long enough to be found again, stops the step. Only hashes of
the sets are kept. Knows texts and files of hashes, not where sets come from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tenfold.data import operator, record
from tenfold.data.dedup.shingles import shingle_sets, word_counts
from tenfold.data.dedup.texts import taken, texts_of
from tenfold.data.operator import dropped, with_column
from tenfold.errors import ConfigError, InputError

WORDS = 13
LEAST_WORDS = 8
"""Shorter items are too likely to be met by chance; they are not looked for."""


@dataclass(frozen=True, slots=True)
class EvalIndex:
    """Word n-grams of one evaluation set."""

    name: str
    grams: np.ndarray
    """uint64 (num_grams, 2): number of words, hash; sorted, each once"""
    num_items: int
    num_short: int
    """Items of fewer than LEAST_WORDS words: the gate does not see them."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.grams.tobytes()).hexdigest()

    def save(self, folder: Path) -> Path:
        """`DIGEST.npy`, for `Decontaminate`."""
        path = folder / f"{self.digest}.npy"
        np.save(path, self.grams, allow_pickle=False)
        return path


def eval_index(
    name: str,
    items: pa.Array | pa.ChunkedArray,
    *,
    words: int = WORDS,
    least_words: int = LEAST_WORDS,
) -> EvalIndex:
    """The index of an evaluation set's items (questions, with answers where they are part of the text).

    Raises InputError when there is no item, or none has `least_words` words: nothing would be kept out."""
    if not 1 <= least_words <= words:
        raise ConfigError("least_words must be 1 to words", seen=f"{least_words} and {words}")
    if not name or "." in name:
        raise ConfigError("an evaluation set's name is part of a cause, without dots", seen=name)
    if len(items) == 0:
        raise InputError(
            "the evaluation set is empty", where=name, hint="without it the gate would let all pass"
        )
    texts = texts_of(items)
    lengths = word_counts(texts)
    if lengths.max() < least_words:
        raise InputError(
            f"no item of the evaluation set has {least_words} words",
            where=name,
            seen=f"{lengths.max()} words at most",
            hint="join question and answer, or lower least_words",
        )
    grams = []
    for length in range(least_words, words + 1):
        rows = np.flatnonzero(lengths >= words if length == words else lengths == length)
        hashes = shingle_sets(taken(texts, rows), length).hashes
        grams.append(np.stack((np.full(len(hashes), length, np.uint64), hashes), 1))
    together = np.unique(np.concatenate(grams), axis=0)
    return EvalIndex(name, together, len(items), int((lengths < least_words).sum()))


def hits(column: pa.Array | pa.ChunkedArray, grams: np.ndarray) -> np.ndarray:
    """How many different n-grams of an index each text has, int64 (num_texts,)."""
    texts = texts_of(column)
    found = np.zeros(len(texts.offsets) - 1, np.int64)
    long_enough = word_counts(texts)
    for length in np.unique(grams[:, 0]).tolist():
        known = grams[grams[:, 0] == length, 1]
        rows = np.flatnonzero(long_enough >= length)
        sets = shingle_sets(taken(texts, rows), length)
        place = np.searchsorted(known, sets.hashes)
        met = known[np.minimum(place, len(known) - 1)] == sets.hashes
        total = np.concatenate(([0], np.cumsum(met)))
        found[rows] += total[sets.offsets[1:]] - total[sets.offsets[:-1]]
    return found


@lru_cache(maxsize=16)
def _loaded(path: Path, digest: str, name: str) -> np.ndarray:
    try:
        grams = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            "the index of the evaluation set cannot be read",
            where=f"{name}: {path}",
            seen=f"{error}",
            hint="make it again from the evaluation set; nothing passes this gate without it",
        ) from error
    if grams.size == 0 or hashlib.sha256(grams.tobytes()).hexdigest() != digest:
        raise InputError(
            "the index of the evaluation set is not the one the recipe names",
            where=f"{name}: {path}",
            hint="make it again from the evaluation set",
        )
    return grams


@dataclass(frozen=True, slots=True, kw_only=True)
class Decontaminate:
    """Drops records that share more than `most_hits` n-grams with an evaluation set, under
    `decontaminate.SET`. Raises InputError where a set's index is missing or another one."""

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = ("decontaminate.hits", record.DROP)

    sets: tuple[tuple[str, str], ...]
    """(name, digest) of each evaluation set."""
    folder: str = field(metadata={operator.ELSEWHERE: True})
    """Where their indexes are, as `EvalIndex.save` wrote them."""
    most_hits: int = 0
    """N-grams that a record may share with a set."""

    def __post_init__(self) -> None:
        if not self.sets:
            raise ConfigError("decontamination needs an evaluation set")
        if self.most_hits < 0:
            raise ConfigError("most_hits must be 0 or more", seen=self.most_hits)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        total = np.zeros(len(batch), np.int64)
        for name, digest in self.sets:
            grams = _loaded(Path(self.folder) / f"{digest}.npy", digest, name)
            found = hits(batch.column(record.TEXT), grams)
            total += found
            batch = dropped(batch, pa.array(found > self.most_hits), f"{self.name}.{name}")
        return with_column(batch, "decontaminate.hits", pa.array(total))
