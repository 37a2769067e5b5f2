"""One column of the chain: how its values come about from the columns before it.

A column is decided by another one (dependency), or drawn from donors: as it stands, as its distance from a
line, or as its distance above another column where it must not lie below. Missing numbers are drawn first,
by a tree of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.data.synth import leaves, linear, smooth
from tenfold.data.synth.constraints import AtMost, Constraint, Dependency
from tenfold.data.synth.frame import Column
from tenfold.data.synth.leaves import Leaves

CONTINUOUS = 0.3
"""From this share of single values on, a number is taken for measured, and a line may explain it."""
DRAWS = 8
"""Attempts at a donor that keeps an order before the bound itself is taken."""

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    name: str
    before: tuple[str, ...]
    values: np.ndarray
    """(n,) the training values, as the column has them."""
    codes: np.ndarray
    """(n,) equal training values have equal codes."""
    numeric: bool
    leaves: Leaves
    rows: np.ndarray
    """Training rows that `leaves` speaks of: those with a value."""
    absent: Leaves | None
    """The tree of missing numbers; None: none is missing, or all are."""
    decided: tuple[str, np.ndarray, np.ndarray] | None
    """The deciding column, its sorted distinct training values, and a training row that has each."""
    above: str | None
    """Values are drawn as distances above this column."""
    bounds: tuple[tuple[str, bool], ...]
    """Columns that must not be exceeded (True) or undercut (False)."""
    line: tuple[linear.Line, tuple[str, ...]] | None
    distances: np.ndarray
    """(n,) what donors give where `line` or `above` is set."""
    smoothing: smooth.Smoothing | None

    def draw(
        self, made: Values, num_rows: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values of `num_rows` new rows, and the codes of the donors they came from."""
        if self.decided is not None:
            row = self._decided(made)
            return self.values[row], self.codes[row]
        predictors = [made[name] for name in self.before]
        missing = np.zeros(num_rows, bool)
        if self.absent is not None:
            leaf = self.absent.find(predictors, num_rows, rng)
            donor = self.absent.donors(leaf, leaves.balanced(leaf, rng))
            missing = np.isnan(self.values[donor])
        leaf = self._leaf(made, predictors, num_rows, rng)
        donor = self.rows[self.leaves.donors(leaf, leaves.balanced(leaf, rng))]
        values = self._given(donor, made, rng)
        for attempt in range(DRAWS + 1):
            wrong = self._wrong(values, made)
            if not wrong.any():
                break
            if attempt == DRAWS:
                values = np.where(wrong, self._bound(values, made), values)
                break
            donor = donor.copy()
            donor[wrong] = self.rows[self.leaves.donors(leaf[wrong], rng.random(int(wrong.sum())))]
            part = {name: column[wrong] for name, column in made.items()}
            values[wrong] = self._given(donor[wrong], part, rng)
        codes = self.codes[donor]
        if self.absent is not None:
            values = np.where(missing, np.nan, values)
            codes = np.where(missing, -1, codes)
        return values, codes

    def _decided(self, made: Values) -> np.ndarray:
        assert self.decided is not None
        name, distinct, rows = self.decided
        # Deciding columns are never smoothed, so every value is a known one; NaN sorts last in both.
        return rows[np.searchsorted(distinct, made[name])]

    def _leaf(
        self,
        made: Values,
        predictors: Sequence[np.ndarray],
        num_rows: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        if self.line is not None:
            predictors = [*predictors, self.line[0].at([made[name] for name in self.line[1]])]
        return self.leaves.find(predictors, num_rows, rng)

    def _given(self, donor: np.ndarray, made: Values, rng: np.random.Generator) -> np.ndarray:
        if self.line is not None:
            line, names = self.line
            raw = line.target.back(line.at([made[name] for name in names]) + self.distances[donor])
            assert self.smoothing is not None
            return smooth.snapped(raw, self.smoothing.step)
        if self.above is not None:
            assert self.smoothing is not None
            gap = np.maximum(self.smoothing.moved(self.distances[donor], rng), 0)
            base = made[self.above]
            plain = self.values[donor]
            return np.where(np.isnan(base), plain, smooth.snapped(base + gap, self.smoothing.step))
        values = self.values[donor].copy()
        return values if self.smoothing is None else self.smoothing.moved(values, rng)

    def _wrong(self, values: np.ndarray, made: Values) -> np.ndarray:
        wrong = np.zeros(len(values), bool)
        for name, ceiling in self.bounds:
            wrong |= values > made[name] if ceiling else values < made[name]
        return wrong

    def _bound(self, values: np.ndarray, made: Values) -> np.ndarray:
        for name, ceiling in self.bounds:
            take = np.fmin if ceiling else np.fmax
            values = take(values, made[name])
        return values


def node(
    column: Column,
    before: Sequence[Column],
    rules: Sequence[Constraint],
    *,
    leaf: int,
    trees: int,
    seed: int,
) -> Node:
    """Fit `column` on the columns made before it."""
    names = tuple(each.name for each in before)
    known = {each.name: each for each in before}
    num_rows = len(column.values)
    numeric = column.kind == "number"
    missing = column.missing
    rows = np.flatnonzero(~missing) if numeric and not missing.all() else np.arange(num_rows)
    absent = None
    if numeric and missing.any() and not missing.all():
        absent = leaves.grow(
            before, missing.astype(np.int64), classes=2, leaf=leaf, trees=trees, seed=seed
        )
    deciding = _deciding(column.name, known, rules)
    bounds = _bounds(column.name, known, rules)
    above = _close_below(column, known, rules)
    line = None
    distances = column.values
    moving = None
    predictors: list[Column] = list(before)
    if numeric and not missing.all():
        moving = smooth.smoothing(column.values[rows], column.step)
        decides = any(isinstance(r, Dependency) and r.determinant == column.name for r in rules)
        if decides:
            moving = above = None
        elif above is not None:
            distances = column.values - known[above].values
            moving = smooth.smoothing(distances[~np.isnan(distances)], column.step)
        elif smooth.single_share(column.values[rows]) >= CONTINUOUS:
            line, distances, extra = _line(column, before, rows)
            if extra is not None:
                predictors.append(extra)
    inside = [_at(each, rows) for each in predictors]
    if numeric:
        goal = np.nan_to_num((distances if line or above else column.values)[rows], nan=0.0)
        found = leaves.grow(inside, goal, classes=0, leaf=leaf, trees=trees, seed=seed)
    else:
        goal = column.values + 1
        found = leaves.grow(
            inside, goal, classes=int(goal.max()) + 1, leaf=leaf, trees=trees, seed=seed
        )
    return Node(
        name=column.name, before=names, values=column.values, codes=column.codes, numeric=numeric,
        leaves=found, rows=rows, absent=absent, decided=deciding, above=above, bounds=bounds,
        line=line, distances=distances, smoothing=moving,
    )  # fmt: skip


def _at(column: Column, rows: np.ndarray) -> Column:
    return Column(
        name=column.name, type=column.type, kind=column.kind, values=column.values[rows],
        categories=column.categories, step=column.step,
    )  # fmt: skip


def _deciding(
    name: str, known: Mapping[str, Column], rules: Sequence[Constraint]
) -> tuple[str, np.ndarray, np.ndarray] | None:
    for rule in rules:
        if isinstance(rule, Dependency) and rule.dependent == name and rule.determinant in known:
            distinct, rows = np.unique(known[rule.determinant].values, return_index=True)
            return rule.determinant, distinct, rows
    return None


def _bounds(
    name: str, known: Mapping[str, Column], rules: Sequence[Constraint]
) -> tuple[tuple[str, bool], ...]:
    found = []
    for rule in rules:
        if isinstance(rule, AtMost):
            if rule.low == name and rule.high in known:
                found.append((rule.high, True))
            if rule.high == name and rule.low in known:
                found.append((rule.low, False))
    return tuple(found)


def _close_below(
    column: Column, known: Mapping[str, Column], rules: Sequence[Constraint]
) -> str | None:
    """The column below which this one must not lie, where the distance varies less than the column."""
    best, least = None, 0.5
    for name, ceiling in _bounds(column.name, known, rules):
        if not ceiling:
            gap = column.values - known[name].values
            ratio = float(np.nanvar(gap) / max(np.nanvar(column.values), 1e-300))
            if ratio < least:
                best, least = name, ratio
    return best


def _line(
    column: Column, before: Sequence[Column], rows: np.ndarray
) -> tuple[tuple[linear.Line, tuple[str, ...]] | None, np.ndarray, Column | None]:
    numbers = [each for each in before if each.kind == "number" and not each.missing[rows].all()]
    found = linear.fit([each.values[rows] for each in numbers], column.values[rows])
    if found is None:
        return None, column.values, None
    value = found.at([each.values for each in numbers])
    distances = np.full(len(value), np.nan)
    distances[rows] = found.target.there(column.values[rows]) - value[rows]
    extra = Column(name="", type=column.type, kind="number", values=value)
    return (found, tuple(each.name for each in numbers)), distances, extra
