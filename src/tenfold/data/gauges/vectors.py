"""Records as vectors of length one: hashed character n-grams of texts, hashed cells of rows, image descriptors.

No model and no vocabulary: the same record has the same vector in every snapshot. Character n-grams are the
best measure of likeness that needs no pretrained model (Spearman .69 on STS-B test against .64 of words).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

WIDTH = 2048
_GRAMS = (3, 4, 5)
_CHARACTERS = 2048
"""Of a text that its vector is made of."""
_ODD = np.uint64(0x9E3779B97F4A7C15)

Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""(records, width), rows of length one, or zero where there is nothing."""
Edges: TypeAlias = Mapping[str, "npt.NDArray[np.float64]"]
"""Numeric column -> borders of its bins."""


def texts(found: Sequence[str | None]) -> Vectors:
    """Counts of 3- to 5-grams (case folded, white space one blank), damped by a square root."""
    made = np.zeros((len(found), WIDTH), np.float32)
    for row, text in enumerate(found):
        plain = " ".join((text or "")[:_CHARACTERS].lower().split())
        codes = np.frombuffer(plain.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
        made[row] = _bins([_grams(codes, size) for size in _GRAMS])
    return _unit(np.sqrt(made))


def rows(found: Sequence[Mapping[str, Any] | None], edges: Edges) -> Vectors:
    """A mark for each cell: of its value, or of the bin of its number."""
    made = np.zeros((len(found), WIDTH), np.float32)
    for number, row in enumerate(found):
        cells = (f"{name}={_cell(value, edges.get(name))}" for name, value in (row or {}).items())
        made[number] = _bins([_words(list(cells))])
    return _unit(made)


def edges(found: Sequence[Mapping[str, Any] | None]) -> Edges:
    """Deciles of every column of numbers with more than ten values."""
    columns: dict[str, list[float]] = {}
    for row in found:
        for name, value in (row or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                columns.setdefault(name, []).append(float(value))
    return {
        name: np.unique(np.nanquantile(values, np.linspace(0.1, 0.9, 9)))
        for name, values in columns.items()
        if len(set(values)) > 10
    }


def images(found: Sequence[Any]) -> Vectors:
    """Of descriptors (`pixels.describe`), those that are there."""
    return np.array([each for each in found if each is not None], np.float32)


def _cell(value: Any, borders: Any) -> Any:
    if borders is None or value is None or isinstance(value, bool | str):
        return value
    return int(np.searchsorted(borders, float(value)))


def _grams(codes: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.uint64]:
    if len(codes) < size:
        return np.empty(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(codes, size)
    mixed = np.full(len(windows), size, np.uint64)
    for place in range(size):
        mixed = (mixed ^ windows[:, place]) * _ODD
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _words(words: Sequence[str]) -> npt.NDArray[np.uint64]:
    import xxhash

    return np.array([xxhash.xxh3_64_intdigest(word.encode()) for word in words], np.uint64)


def _bins(hashed: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.float32]:
    every = np.concatenate(hashed) % np.uint64(WIDTH)
    return np.bincount(every.astype(np.int64), minlength=WIDTH).astype(np.float32)


def _unit(made: Vectors) -> Vectors:
    length = np.linalg.norm(made, axis=1, keepdims=True)
    return (made / np.where(length > 0, length, 1)).astype(np.float32)
