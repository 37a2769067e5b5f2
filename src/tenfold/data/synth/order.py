"""The order in which a chain of trees makes columns: by mutual information, from a table's numbers.

The first column shares most with all others; each next one shares most with one that is already there, so
that strong dependencies are modelled directly and not through a detour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tenfold.data.synth.frame import Column
from tenfold.errors import ConfigError, UnknownName

BINS = 12
"""Values of a column that are told apart: quantiles of numbers, the commonest categories."""
MAX_ROWS = 5000


def column_order(frame: Mapping[str, Column], given: Sequence[str] = ()) -> list[str]:
    """All columns: `given` first as they stand there, then the others by mutual information."""
    for name in given:
        if name not in frame:
            raise UnknownName("column", name, frame)
    if len(set(given)) != len(given):
        raise ConfigError("a column stands twice in the order", seen=list(given))
    names = list(frame)
    shared = mutual_information([binned(column)[:MAX_ROWS] for column in frame.values()])
    order = [names.index(name) for name in given] or [int(shared.sum(axis=1).argmax())]
    while len(order) < len(names):
        nearest = shared[order].max(axis=0)
        nearest[order] = -np.inf
        order.append(int(nearest.argmax()))
    return [names[index] for index in order]


def binned(column: Column) -> np.ndarray:
    """(n,) small integers: quantile bins or the commonest categories; missing values have a bin."""
    if column.kind == "number":
        present = column.values[~column.missing]
        if len(present) == 0:
            return np.zeros(len(column.values), np.int64)
        edges = np.unique(np.quantile(present, np.linspace(0, 1, BINS)[1:-1]))
        return np.where(column.missing, 0, 1 + np.searchsorted(edges, column.values, side="left"))
    codes = column.values + 1
    commonest = np.argsort(-np.bincount(codes), kind="stable")[: BINS - 1]
    place = np.full(int(codes.max(initial=0)) + 1, BINS - 1)
    place[commonest] = np.arange(len(commonest))
    return place[codes]


def mutual_information(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(c, c) nats, bias-corrected (Miller 1955), zero on the diagonal."""
    count = len(columns)
    shared = np.zeros((count, count))
    for i in range(count):
        for j in range(i):
            shared[i, j] = shared[j, i] = _information(columns[i], columns[j])
    return shared


def _information(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) == 0:
        return 0.0
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    p = joint / len(a)
    outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    there = p > 0
    plain = float((p[there] * np.log(p[there] / outer[there])).sum())
    rows, cols = (p.sum(axis=1) > 0).sum(), (p.sum(axis=0) > 0).sum()
    return max(0.0, plain - float(rows - 1) * float(cols - 1) / (2 * len(a)))
