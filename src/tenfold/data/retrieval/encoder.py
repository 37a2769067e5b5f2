"""Texts -> vectors without any trained model: sequences of letters, hashed and projected.

Sequences of 3 to 5 letters within words, weighted by log frequency and rarity; each sequence has a sparse
direction of its own among `dimensions` (Achlioptas 2003, "Database-friendly random projections"; Li, Hastie and Church 2006),
so the inner product of two vectors estimates the cosine of their weighted sequences. It sees spelling and
inflection where BM25 sees words; it does not see meaning. Whoever has an encoder that does hands it in instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tenfold.data.retrieval.words import words

_BUCKETS = 1 << 16
_SPREAD = 4
"""Dimensions that one sequence touches."""
_DIRECTIONS = np.arange(1, _SPREAD + 1, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
_LONGEST = 100_000
"""Letters of a text that are looked at."""


class Encoder(Protocol):
    """What makes vectors. The same name promises the same vectors for the same texts."""

    name: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32, texts x dimensions; length 1, or 0 for a text with nothing in it."""
        ...


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of the output depends on every bit of the input (Stafford's 13th mixer; Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def sequences(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the distinct sequences (uint64, ascending), and how often each occurs."""
    spaced = f" {' '.join(words(text[:_LONGEST]))} "
    letters = np.frombuffer(spaced.encode("utf-32-le"), np.uint32).astype(np.uint64)
    inside = letters != 32
    found = []
    for length in (3, 4, 5):
        n = len(letters) - length + 1
        if n <= 0:
            break
        value = np.full(n, length, dtype=np.uint64)
        crosses = np.zeros(n, dtype=bool)
        for k in range(length):
            value = _mixed(value * np.uint64(0x9E3779B97F4A7C15) + letters[k : k + n])
            if 0 < k < length - 1:
                crosses |= ~inside[k : k + n]
        found.append(value[~crosses])
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    return np.unique(np.concatenate(found), return_counts=True)


class LetterEncoder:
    """The encoder that needs nothing. `rarity`: float32, a weight for each of 65,536 buckets of sequences."""

    name = "letters/1"

    def __init__(self, rarity: np.ndarray, dimensions: int = 512) -> None:
        self.dimensions = dimensions
        self.rarity = rarity

    @classmethod
    def learnt(cls, texts: Iterable[str], dimensions: int = 512) -> LetterEncoder:
        """With the rarity of each sequence in `texts`."""
        seen = np.zeros(_BUCKETS)
        number = 0
        for text in texts:
            seen[np.unique(sequences(text)[0] & np.uint64(_BUCKETS - 1)).astype(np.int64)] += 1
            number += 1
        return cls(np.log((1 + number) / (1 + seen)).astype(np.float32), dimensions)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        made = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            found, counts = sequences(text)
            weight = (1 + np.log(counts)) * self.rarity[
                (found & np.uint64(_BUCKETS - 1)).astype(np.int64)
            ]
            for k in range(_SPREAD if len(found) else 0):
                draw = _mixed(found + _DIRECTIONS[k])
                at = (draw % np.uint64(self.dimensions)).astype(np.int64)
                sign = 1.0 - 2.0 * (draw >> np.uint64(63)).astype(np.float64)
                made[row] += np.bincount(at, weight * sign, self.dimensions).astype(np.float32)
        norm = np.linalg.norm(made, axis=1, keepdims=True)
        return made / np.where(norm > 0, norm, 1)

    def save(self, path: Path) -> None:
        np.save(path, self.rarity)

    @classmethod
    def load(cls, path: Path, dimensions: int) -> LetterEncoder:
        return cls(np.load(path, mmap_mode="r"), dimensions)
