"""What holds in every row of a table: one column decides another, one is never above another.

Found in real rows, kept by generators, checked by the judge. Only constraints with evidence are found: a
column that is different in every row decides everything and means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pyarrow as pa

from tenfold.data.synth.frame import Column

MIN_ROWS_PER_VALUE = 5.0
"""A deciding column has on average at least this many rows for each of its values."""
MIN_ROWS = 50
MIN_BROKEN_BY_CHANCE = 0.05
"""`low <= high` says something only where at least this share of rows would break it if the two columns had
nothing to do with each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`determinant` decides `dependent` (a functional dependency)."""

    determinant: str
    dependent: str
    pairs: Mapping[object, object]
    """value -> value, as seen in the real rows"""

    def __str__(self) -> str:
        return f"{self.determinant} decides {self.dependent}"

    def broken(self, table: pa.Table) -> np.ndarray:
        """(n,) bool. A value that was never seen breaks nothing."""
        left = table.column(self.determinant).to_pylist()
        right = table.column(self.dependent).to_pylist()
        pairs = self.pairs
        return np.fromiter(
            (a in pairs and pairs[a] != b for a, b in zip(left, right, strict=True)),
            bool,
            len(left),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """`low` is never above `high`."""

    low: str
    high: str

    def __str__(self) -> str:
        return f"{self.low} <= {self.high}"

    def broken(self, table: pa.Table) -> np.ndarray:
        """(n,) bool. A missing side breaks nothing."""
        pairs = zip(
            table.column(self.low).to_pylist(), table.column(self.high).to_pylist(), strict=True
        )
        return np.fromiter(
            (a is not None and b is not None and a > b for a, b in pairs), bool, table.num_rows
        )


Constraint = Dependency | AtMost


def find(table: pa.Table, frame: Mapping[str, Column]) -> list[Constraint]:
    """Constraints that no row of `table` breaks, `frame` being its columns. Needs 50 rows to see any."""
    if table.num_rows < MIN_ROWS:
        return []
    return [*_dependencies(table, frame), *_orders(frame)]


def _dependencies(table: pa.Table, frame: Mapping[str, Column]) -> list[Constraint]:
    codes = {name: column.codes + 1 for name, column in frame.items()}
    counts = {name: len(np.unique(found)) for name, found in codes.items()}
    found: list[Constraint] = []
    for a, b in permutations(frame, 2):
        if counts[b] < 2 or counts[a] < counts[b]:
            continue
        if table.num_rows < MIN_ROWS_PER_VALUE * counts[a]:
            continue
        joint = len(np.unique(codes[a] * (codes[b].max() + 1) + codes[b]))
        if joint != counts[a] or _rare(codes[a], codes[b]):
            continue
        pairs = dict(zip(table.column(a).to_pylist(), table.column(b).to_pylist(), strict=True))
        found.append(Dependency(determinant=a, dependent=b, pairs=pairs))
    return found


def _rare(determinant: np.ndarray, dependent: np.ndarray) -> bool:
    """Too little evidence: outside the commonest dependent value, fewer rows than a chance would show."""
    counts = np.bincount(dependent)
    others = dependent != counts.argmax()
    # Each value of the determinant must be seen to repeat where the dependent one is not the usual one.
    repeats = np.bincount(determinant[others])
    return int((repeats >= 2).sum()) < 2 or others.mean() < 0.01


def _orders(frame: Mapping[str, Column]) -> list[Constraint]:
    numbers = [column for column in frame.values() if column.kind == "number"]
    found: list[Constraint] = []
    for low, high in permutations(numbers, 2):
        if pa.types.is_temporal(low.type) != pa.types.is_temporal(high.type):
            continue
        if pa.types.is_temporal(low.type) and low.type != high.type:
            continue
        both = ~(low.missing | high.missing)
        if both.sum() < MIN_ROWS:
            continue
        a, b = low.values[both], high.values[both]
        if (a <= b).all() and (a < b).any() and _by_chance(a, b) >= MIN_BROKEN_BY_CHANCE:
            found.append(AtMost(low=low.name, high=high.name))
    return found


def _by_chance(a: np.ndarray, b: np.ndarray) -> float:
    """P(a > b) of values drawn from different rows."""
    return float(np.searchsorted(np.sort(b), a, side="left").mean()) / len(b)
