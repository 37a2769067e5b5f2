"""Which record has which word how often, memory-mapped, and BM25 over it.

BM25 as in Robertson and Zaragoza (2009, "The Probabilistic Relevance Framework", 3.4): sum over the question's words of
idf * tf / (tf + k1 * (1 - b + b * length / mean length)). `lucene` takes idf = ln(1 + (N - n + 0.5) / (n + 0.5)),
which is never negative; `robertson` takes ln((N - n + 0.5) / (n + 0.5)) and the factor k1 + 1.
Counts of several parts add up, so an index in parts scores as one whole. Knows word numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tenfold.errors import ConfigError

_FILES = ("terms", "starts", "rows", "counts", "lengths")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25:
    """Of the formula."""

    k1: float = 1.2
    """How soon more of the same word stops to count, 0 or more."""
    b: float = 0.75
    """How much longer records are held back, 0 to 1."""
    formula: Literal["lucene", "robertson"] = "lucene"

    def __post_init__(self) -> None:
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigError("k1 must be 0 or more and b between 0 and 1", seen=(self.k1, self.b))

    def idf(self, num_records: int, num_with: int) -> float:
        odds = (num_records - num_with + 0.5) / (num_with + 0.5)
        return math.log(1 + odds) if self.formula == "lucene" else math.log(odds)


class Postings:
    """One part's inverted index."""

    def __init__(self, folder: Path) -> None:
        self._terms, self._starts, self._rows, self._counts, self.lengths = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FILES
        )
        self.total_length = int(self.lengths.sum(dtype=np.int64))

    def __len__(self) -> int:
        """How many records."""
        return len(self.lengths)

    def of(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that have the word, ascending, and how often each has it."""
        key = np.uint64(term)
        at = int(np.searchsorted(self._terms, key))
        if at == len(self._terms) or self._terms[at] != key:
            return self._rows[:0], self._counts[:0]
        span = slice(int(self._starts[at]), int(self._starts[at + 1]))
        return self._rows[span], self._counts[span]

    @staticmethod
    def write(folder: Path, documents: Iterable[np.ndarray]) -> None:
        """`documents`: the word numbers of each record (uint64, any order)."""
        terms, counts, sizes, lengths = [], [], [], []
        for numbers in documents:
            unique, times = np.unique(numbers, return_counts=True)
            terms.append(unique)
            counts.append(times.astype(np.uint32))
            sizes.append(len(unique))
            lengths.append(len(numbers))
        every = np.concatenate([np.empty(0, np.uint64), *terms])
        rows = np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes)
        order = np.argsort(every, kind="stable")  # rows of a word stay ascending
        vocabulary, starts = np.unique(every[order], return_index=True)
        arrays = {
            "terms": vocabulary,
            "starts": np.append(starts, len(every)).astype(np.int64),
            "rows": rows[order],
            "counts": np.concatenate([np.empty(0, np.uint32), *counts])[order],
            "lengths": np.array(lengths, dtype=np.uint32),
        }
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)


def scores(parts: Sequence[Postings], question: Sequence[int], rule: Bm25) -> np.ndarray:
    """float64, one for each record of all parts in order. A word asked for twice counts twice.

    Exact zeros are records that have none of the words.
    """
    bases = np.cumsum([0, *(len(part) for part in parts)])
    total = np.zeros(int(bases[-1]))
    num_records = len(total)
    if not num_records:
        return total
    mean = sum(part.total_length for part in parts) / num_records or 1.0
    asked: dict[int, int] = {}
    for term in question:
        asked[term] = asked.get(term, 0) + 1
    for term, times in asked.items():
        found = [part.of(term) for part in parts]
        num_with = sum(len(rows) for rows, _ in found)
        if not num_with:
            continue
        weight = times * rule.idf(num_records, num_with)
        if rule.formula == "robertson":
            weight *= rule.k1 + 1
        for part, base, (rows, counts) in zip(parts, bases, found, strict=False):
            tf = counts.astype(np.float64)
            norm = rule.k1 * (1 - rule.b + rule.b * part.lengths[rows] / mean)
            total[base + rows.astype(np.int64)] += weight * tf / (tf + norm)
    return total
