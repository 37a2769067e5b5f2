"""One tree of the chain: which training rows are alike as far as one column is concerned.

A tree splits the training rows by the columns made before; a new row falls into a leaf, and a training row
of that leaf, drawn at random, is its donor (Reiter, Journal of Official Statistics 21, 2005). Categories
are ordered for each target by what they say about it: by its mean for two classes or a number (Breiman et
al. 1984, 4.2), by the first two principal components of the class shares for more (Coppersmith et al. 1999).
Knows arrays, neither tables nor what a donor gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tenfold.data.synth.frame import Column

MAX_CLASSES = 64
"""Targets of more categories are split by a random projection of their indicators: the Gini gain of the
indicators is a sum of squares, and those survive projection (Johnson and Lindenstrauss 1984)."""
PROJECTED = 16
BAG = 0.63
"""Each tree splits by this share of the rows (all rows give donors) and looks, at each split, at"""
MAX_FEATURES = 0.5
"""this share of the columns: trees err in different ways, and their mixture errs less."""
TRIALS = 4
TRIAL_ROWS = 10_000
"""Leaf sizes are tried with so many trees on so many rows."""
NEARLY = 0.01
GOLDEN = (5**0.5 - 1) / 2
SHRINK_ROWS = 20.0
"""A category speaks for itself from about so many rows; below that the mean of all speaks for it."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A category predictor as one or two numbers per code, code -1 first."""

    values: np.ndarray
    """(codes + 1, components)"""


@dataclass(frozen=True, slots=True)
class Partition:
    """One fitted tree and the training rows of each of its leaves."""

    tree: DecisionTreeClassifier | DecisionTreeRegressor
    rows: np.ndarray
    """(n,) training rows, leaf by leaf"""
    starts: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, slots=True)
class Leaves:
    """Several trees; each new row asks one of them at random."""

    partitions: tuple[Partition, ...]
    """Empty: what came before says nothing, all rows are alike."""
    encoders: tuple[Scores | float, ...]
    """One per predictor: scores, or what stands for a missing number."""
    order: np.ndarray
    """(n,) training rows in order of the target"""

    def find(
        self, predictors: Sequence[np.ndarray], num_rows: int, rng: np.random.Generator
    ) -> np.ndarray:
        """(num_rows, 3): the tree that each row asks, its leaf there, and its leaf in the first tree."""
        found = np.zeros((num_rows, 3), np.int64)
        if not self.partitions:
            return found
        found[:, 0] = rng.integers(0, len(self.partitions), num_rows)
        design = _design(predictors, self.encoders)
        found[:, 2] = self.partitions[0].tree.apply(design)
        for number, partition in enumerate(self.partitions):
            asked = found[:, 0] == number
            if asked.any():
                found[asked, 1] = partition.tree.apply(design[asked])
        return found

    def donors(self, found: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """(num_rows,) a training row of each leaf: the one at `chance` (0 to 1) in order of the target."""
        if not self.partitions:
            return self.order[(chance * len(self.order)).astype(np.int64)]
        donors = np.zeros(len(found), np.int64)
        for number, partition in enumerate(self.partitions):
            asked = found[:, 0] == number
            leaf = found[asked, 1]
            offset = (chance[asked] * partition.counts[leaf]).astype(np.int64)
            donors[asked] = partition.rows[partition.starts[leaf] + offset]
        return donors


def balanced(found: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(num_rows,) chances for `donors`, each uniform, and together even among rows that are alike.

    Independent draws would add a second sampling noise to that of the training rows, and a judge sees the
    sum. Rows in the order of their leaves take the points of Weyl's golden-ratio sequence instead: any run
    of them covers 0 to 1 evenly, so that shares in a leaf and in whole branches come out as in training.
    """
    order = np.lexsort((rng.random(len(found)), found[:, 2]))
    chance = np.empty(len(found))
    chance[order] = (rng.random() + np.arange(len(found)) * GOLDEN) % 1.0
    return chance


def grow(
    predictors: Sequence[Column],
    target: np.ndarray,
    *,
    classes: int,
    leaf: int,
    trees: int,
    seed: int,
) -> Leaves:
    """Leaves of at least `leaf` rows. `target`: (n,) codes from 0 to `classes`, or numbers for 0 classes.

    How much larger they are, rows that the trees have not seen decide: where the columns before say
    nothing, small leaves would only tie a row's values to those of one training row.
    """
    num_rows = len(target)
    order = np.argsort(target, kind="stable")
    if not predictors or num_rows < 2 * leaf or len(np.unique(target)) < 2:
        return Leaves((), (), order)
    encoders = tuple(_encoder(column, target, classes) for column in predictors)
    design = _design([column.values for column in predictors], encoders)
    rng = np.random.default_rng(seed)
    goal, kind = _goal(target, classes, seed)
    leaf = _chosen(design, goal, kind, leaf, rng)
    if leaf >= num_rows:
        return Leaves((), (), order)
    partitions = []
    for number in range(trees):
        tree = kind(
            min_samples_leaf=leaf,
            max_features=MAX_FEATURES if trees > 1 else None,
            random_state=seed + number,
        )
        part = rng.permutation(num_rows)[: int(num_rows * BAG)] if trees > 1 else slice(None)
        tree.fit(design[part], goal[part])
        place = tree.apply(design)
        counts = np.bincount(place, minlength=tree.tree_.node_count)
        rows = np.lexsort((target, place))
        partitions.append(Partition(tree, rows, np.cumsum(counts) - counts, counts))
    return Leaves(tuple(partitions), encoders, order)


def _chosen(
    design: np.ndarray,
    goal: np.ndarray,
    kind: type[DecisionTreeClassifier] | type[DecisionTreeRegressor],
    least: int,
    rng: np.random.Generator,
) -> int:
    """The smallest leaf size from `least` up, or the number of rows for no tree at all, whose mixture of
    trees predicts unseen rows nearly best, by squared error (of class shares: Brier 1950)."""
    num_rows = len(goal)
    wanted = goal.astype(float).reshape(num_rows, -1)
    if kind is DecisionTreeClassifier:
        wanted = (goal[:, None] == np.unique(goal)).astype(float)
    rows = rng.permutation(num_rows)[:TRIAL_ROWS]
    known, unseen = rows[: len(rows) * 3 // 4], rows[len(rows) * 3 // 4 :]
    errors = {num_rows: float(((wanted[unseen] - wanted[known].mean(axis=0)) ** 2).sum())}
    for size in (least * 4**step for step in range(5)):
        if 2 * size > len(known):
            break
        guess = np.zeros((len(unseen), wanted.shape[1]))
        for number in range(TRIALS):
            part = rng.permutation(known)[: int(len(known) * BAG)]
            tree = kind(min_samples_leaf=size, max_features=MAX_FEATURES, random_state=number)
            tree.fit(design[part], goal[part])
            place, counts = tree.apply(design[known]), np.zeros(tree.tree_.node_count)
            np.add.at(counts, place, 1)
            sums = np.zeros((len(counts), wanted.shape[1]))
            np.add.at(sums, place, wanted[known])
            guess += (sums / counts.clip(1)[:, None])[tree.apply(design[unseen])]
        errors[size] = float(((wanted[unseen] - guess / TRIALS) ** 2).sum())
    limit = min(errors.values()) * (1 + NEARLY)
    return min(size for size, error in errors.items() if error <= limit)


def _goal(
    target: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, type[DecisionTreeClassifier] | type[DecisionTreeRegressor]]:
    if 0 < classes <= MAX_CLASSES:
        return target, DecisionTreeClassifier
    if classes == 0:
        return _ranks(target), DecisionTreeRegressor
    signs = np.random.default_rng(seed).standard_normal((classes, PROJECTED))
    return signs[target], DecisionTreeRegressor


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mid-ranks in 0..1: splits do not hang on a few large numbers."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return (middle / len(values))[inverse] if len(distinct) else values


def _encoder(column: Column, target: np.ndarray, classes: int) -> Scores | float:
    if column.kind == "number":
        present = column.values[~column.missing]
        return float(present.min() - 1.0) if len(present) else 0.0
    codes = column.values + 1
    width = int(codes.max()) + 1
    totals = np.bincount(codes, minlength=width).astype(float)
    if classes == 0:
        goal = _ranks(target)
        sums = np.bincount(codes, goal, minlength=width)[:, None]
        mean = np.array([goal.mean()])
    else:
        few = min(classes, MAX_CLASSES)
        commonest = np.argsort(-np.bincount(target, minlength=classes), kind="stable")[:few]
        place = np.full(classes, -1)
        place[commonest] = np.arange(few)
        kept = place[target] >= 0
        sums = np.bincount(
            codes[kept] * few + place[target[kept]], minlength=width * few
        ).reshape(width, few).astype(float)  # fmt: skip
        mean = np.bincount(place[target[kept]], minlength=few) / len(target)
    shares = (sums + SHRINK_ROWS * mean) / (totals + SHRINK_ROWS)[:, None]
    if shares.shape[1] <= 2:
        return Scores(shares[:, :1])
    weights = np.sqrt(totals / totals.sum())[:, None]
    _, _, axes = np.linalg.svd((shares - mean) * weights, full_matrices=False)
    return Scores((shares - mean) @ axes[:2].T)


def _design(predictors: Sequence[np.ndarray], encoders: Sequence[Scores | float]) -> np.ndarray:
    parts = []
    for values, encoder in zip(predictors, encoders, strict=True):
        if isinstance(encoder, Scores):
            # A category that the training rows of this tree never had counts as missing.
            codes = np.where(values + 1 < len(encoder.values), values + 1, 0)
            parts.append(encoder.values[codes])
        else:
            parts.append(np.where(np.isnan(values), encoder, values)[:, None])
    return np.concatenate(parts, axis=1).astype(np.float32)
