"""Rows as features for boosted trees: numbers, categories by frequency, and how common each value is.

All tables are encoded by the same rules, learnt from a reference table that none of the compared rows come
from. Knows neither labels nor verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from tenfold.data.synth import frame

MAX_CATEGORIES = 200
"""Categories told apart by name; the others share one code and differ by how common they are."""

MIN_PRESENT = 100
"""Of a number that fewer rows have, only whether it is there counts."""


def design(reference: pa.Table, tables: Sequence[pa.Table]) -> tuple[list[np.ndarray], np.ndarray]:
    """One (rows, features) float64 array per table, and (features,) bool: which are categories."""
    whole = pa.concat_tables([table.cast(reference.schema) for table in (reference, *tables)])
    edges = np.cumsum([0, reference.num_rows, *(table.num_rows for table in tables)])
    features: list[np.ndarray] = []
    category: list[bool] = []
    for column in frame.columns(whole).values():
        if column.kind == "number":
            present = np.flatnonzero(~column.missing)
            few = len(present) < MIN_PRESENT
            features.append(column.missing.astype(float) if few else column.values)
            category.append(False)
            continue
        codes = column.values + 1
        counts = np.bincount(codes[: edges[1]], minlength=int(codes.max(initial=0)) + 1)
        place = np.full(len(counts), MAX_CATEGORIES)
        commonest = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
        place[commonest] = np.arange(len(commonest))
        place[counts == 0] = MAX_CATEGORIES
        place[0] = -1
        features.append(np.where(codes == 0, np.nan, place[codes]))
        category.append(True)
        if len(counts) > MAX_CATEGORIES:
            features.append(counts[codes].astype(float))
            category.append(False)
            features.append(np.array([_length(column, code) for code in column.values.tolist()]))
            category.append(False)
    matrix = np.stack(features, axis=1)
    parts = [matrix[a:b] for a, b in pairwise(edges[1:])]
    return parts, np.array(category)


def _length(column: frame.Column, code: int) -> float:
    """Characters of a text of which most rows have one of their own."""
    assert column.categories is not None
    return float("nan") if code < 0 else float(len(str(column.categories[code])))
