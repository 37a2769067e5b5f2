"""Gaussian copula: the baseline that sequential trees have to beat.

Every column becomes a normal score, the scores' correlations are those of a multivariate normal, and draws
from it go back through each column's own distribution (Sklar 1959; Patki, Wedge, Veeramachaneni 2016).
Categories take intervals of the score as wide as they are frequent, the commonest first. It keeps marginals
and rank correlations and loses everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from tenfold.data.synth import frame
from tenfold.data.synth.frame import Column
from tenfold.data.synth.smooth import snapped
from tenfold.errors import InputError


@dataclass(frozen=True, slots=True)
class Copula:
    columns: Mapping[str, Column]
    correlation: np.ndarray
    """(c, c) of the normal scores"""
    schema: pa.Schema

    def sample(self, num_rows: int, seed: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.correlation)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        draws = ndtr(rng.standard_normal((num_rows, len(self.columns))) @ root.T)
        made = {
            name: _quantile(column, draws[:, place])
            for place, (name, column) in enumerate(self.columns.items())
        }
        return frame.table_of(self.columns, made, self.schema)


def fit(table: pa.Table, *, seed: int = 0) -> Copula:
    """Of 2 rows or more. `seed` breaks ties: equal values spread over the interval they share."""
    if table.num_rows < 2:
        raise InputError("too few rows to learn from", seen=table.num_rows, hint="2 at least")
    rng = np.random.default_rng(seed)
    columns = frame.columns(table)
    scores = np.stack([_scores(column, rng) for column in columns.values()], axis=1)
    spread = scores.std(axis=0)
    correlation = np.cov(scores / np.where(spread > 0, spread, 1), rowvar=False, bias=True)
    correlation = np.atleast_2d(correlation)
    np.fill_diagonal(correlation, 1.0)
    return Copula(columns, correlation, table.schema.remove_metadata())


def _sortable(column: Column) -> np.ndarray:
    """Numbers, or ranks of categories by frequency; missing values below all."""
    if column.kind == "number":
        return np.where(column.missing, -np.inf, column.values)
    counts = np.bincount(column.values + 1)
    place = np.empty(len(counts))
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return place[column.values + 1]


def _scores(column: Column, rng: np.random.Generator) -> np.ndarray:
    order = np.lexsort((rng.random(len(column.values)), _sortable(column)))
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order)) + 0.5
    return np.asarray(ndtri(ranks / len(order)))


def _quantile(column: Column, at: np.ndarray) -> np.ndarray:
    order = np.argsort(_sortable(column), kind="stable")
    values = column.values[order]
    place = np.clip(at * len(values) - 0.5, 0, len(values) - 1)
    low = np.floor(place).astype(int)
    if column.kind == "category":
        return values[np.rint(place).astype(int)]
    high = np.minimum(low + 1, len(values) - 1)
    between = values[low] + (place - low) * (values[high] - values[low])
    nearest = values[np.rint(place).astype(int)]
    return np.where(np.isnan(between), nearest, snapped(between, column.step))
