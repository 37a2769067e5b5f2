"""Boosted trees as plain arrays: read from a file without pickle, walked in a kernel.

Knows nodes and columns, neither pages nor how the trees were grown (bench/data_html_train.py does that).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from tenfold.errors import InputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Forest:
    """Sum of one leaf per tree, plus `base`: the log odds of a row."""

    column: Array
    """`int16[nodes]`: which feature a node asks about; -1: a leaf."""
    value: Array
    """`float32[nodes]`: at most this goes left; in a leaf, what it adds."""
    left: Array
    """`int32[nodes]`: the next node on the left; the one on the right is next to it."""
    roots: Array
    """`int32[trees]`."""
    base: float
    names: tuple[str, ...]
    """What the columns mean, so that a file is never asked about other features."""

    def __call__(self, rows: Array) -> Array:
        """`float32[rows, columns]` -> `float64[rows]`, log odds."""
        odds: Array = _walk(rows, self.column, self.value, self.left, self.roots, self.base)
        return odds

    def save(self, path: Path) -> None:
        """As one .npz; the same forest gives the same bytes."""
        np.savez_compressed(
            path, column=self.column, value=self.value, left=self.left, roots=self.roots,
            base=np.array(self.base), names=np.array(self.names),
        )  # fmt: skip


def load(path: Path, names: tuple[str, ...]) -> Forest:
    """The forest of a file for these features. Raises InputError when it was grown on others."""
    with np.load(path, allow_pickle=False) as file:
        forest = Forest(
            file["column"], file["value"], file["left"], file["roots"], float(file["base"]),
            tuple(map(str, file["names"])),
        )  # fmt: skip
    if forest.names != names:
        raise InputError(
            "the trees were grown on other features",
            where=str(path),
            seen=sorted(set(forest.names) ^ set(names))[:5],
            hint="grow them again: python bench/data_html_train.py",
        )
    return forest


@numba.njit(cache=True, nogil=True)
def _walk(rows, column, value, left, roots, base):
    odds = np.full(len(rows), base)
    for row in range(len(rows)):
        for root in roots:
            node = root
            while column[node] >= 0:
                right = rows[row, column[node]] > value[node]
                node = left[node] + right
            odds[row] += value[node]
    return odds
