"""Statistics of weighted records, a value for every round at once: means, shares, entropies, quantiles."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tenfold.data.gauges.gauge import Array, Statistic

Weights = npt.NDArray[np.floating[Any]]


def mean(values: npt.ArrayLike, among: npt.ArrayLike | None = None) -> Statistic:
    """Of `values` (records,) over the records `among` (bool) which it is known of."""
    plain = np.asarray(values, np.float64)
    known = np.isfinite(plain) if among is None else np.asarray(among, bool) & np.isfinite(plain)
    counted = np.where(known, plain, 0.0)

    def statistic(weights: Weights) -> Array:
        total = weights @ known.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Array = np.where(total > 0, (weights @ counted) / total, np.nan)
        return found

    return statistic


def counts(labels: Sequence[Hashable]) -> tuple[list[Any], sparse.csr_matrix]:
    """Distinct labels in the order they are met, and records x labels with ones; None is no label."""
    known = list(dict.fromkeys(label for label in labels if label is not None))
    column = {label: index for index, label in enumerate(known)}
    rows = [row for row, label in enumerate(labels) if label is not None]
    places = [column[label] for label in labels if label is not None]
    shape = (len(labels), len(known))
    return known, sparse.csr_matrix((np.ones(len(rows)), (rows, places)), shape=shape)


def shares(labels: Sequence[Hashable]) -> dict[Any, float]:
    """Label -> share of the labelled records, largest first."""
    known, marks = counts(labels)
    totals = np.asarray(marks.sum(axis=0)).ravel()
    order = np.argsort(-totals, kind="stable")
    return {known[i]: float(totals[i] / totals.sum()) for i in order}


def entropy(labels: Sequence[Hashable]) -> Statistic:
    """Shannon's, in bits, of the shares of labels as they are in the sample (the plug-in estimate: too low by
    about (labels - 1) / (1.39 records), Miller 1955)."""
    _, marks = counts(labels)

    def statistic(weights: Weights) -> Array:
        return entropies((marks.T @ weights.T).T)

    return statistic


def entropies(totals: npt.ArrayLike) -> Array:
    """Bits, of every row of counts; nan for a row of zeros."""
    plain = np.atleast_2d(np.asarray(totals, np.float64))
    whole = plain.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = plain / whole
        terms = np.where(part > 0, part * np.log2(np.where(part > 0, part, 1)), 0.0)
        found: Array = np.where(whole[:, 0] > 0, -terms.sum(axis=1), np.nan)
    return np.maximum(found, 0.0, out=found, where=np.isfinite(found))


def quantile(values: npt.ArrayLike, at: float) -> Statistic:
    """The smallest value that at least `at` of the known ones do not exceed."""
    plain = np.asarray(values, np.float64)
    order = np.argsort(plain, kind="stable")[: int(np.isfinite(plain).sum())]
    ordered = plain[order]

    def statistic(weights: Weights) -> Array:
        if not len(ordered):
            return np.full(len(weights), np.nan)
        running = np.cumsum(weights[:, order].astype(np.float64), axis=1)
        reached = running >= at * running[:, -1:] - 1e-9
        return np.where(running[:, -1] > 0, ordered[np.argmax(reached, axis=1)], np.nan)

    return statistic


def smallest_share(labels: Sequence[Hashable], wanted: Sequence[Hashable]) -> Statistic:
    """Of the `wanted` labels the one with fewest records, as share of the labelled records."""
    known, marks = counts(labels)
    places = [known.index(label) for label in wanted if label in known]
    absent = len(places) < len(wanted)

    def statistic(weights: Weights) -> Array:
        totals = np.asarray((marks.T @ weights.T).T)
        whole = totals.sum(axis=1)
        least = np.zeros(len(weights)) if absent else totals[:, places].min(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Array = np.where(whole > 0, least / whole, np.nan)
        return found

    return statistic


def twins(
    keys: Sequence[Hashable], cluster: npt.NDArray[np.integer[Any]], population: int
) -> Statistic:
    """How many others equal to it a record of the population has on average.

    The chance that two records are equal is counted over the pairs of the sample that were drawn
    independently (of different clusters) and is without bias, as in Simpson 1949 for concentration; so is its
    product with `population` - 1. A record drawn twice in a bootstrap round is no twin of itself.
    """
    _, marks = counts([key if key is not None else ("none", row) for row, key in enumerate(keys)])
    member = np.unique(cluster, return_inverse=True)[1]
    pairs = [(key, c) for key, c in zip(marks.indices.tolist(), member.tolist(), strict=True)]
    _, cells = counts(pairs)
    _, clusters = counts(member.tolist())

    def statistic(weights: Weights) -> Array:
        turned = weights.T.astype(np.float64)
        equal = _squares(marks, turned) - _squares(cells, turned)
        every = turned.sum(axis=0) ** 2 - _squares(clusters, turned)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(every > 0, equal / every * (population - 1), np.nan)

    return statistic


def _squares(marks: sparse.csr_matrix, turned: Array) -> Array:
    """Sum over columns of the squared weights in each, for every round; a row at a time keeps memory low."""
    inverse = marks.T.tocsr()
    found: Array = np.zeros(turned.shape[1])
    for start in range(0, inverse.shape[0], 512):
        found += np.square(inverse[start : start + 512] @ turned).sum(axis=0)
    return found
