"""The Vendi score: how many different things a set is as good as (Friedman & Dieng 2023, definition 3.1).

The exponential of the Shannon entropy of the eigenvalues of K / n, with K the likeness of every two: 1 for n
equal things, n for n that have nothing in common. It grows with n, so sets are compared at equal size.
"""

from __future__ import annotations

import numpy as np

from tenfold.data.gauges.vectors import Vectors


def vendi(vectors: Vectors) -> float:
    """Of rows of length one, likeness being their scalar product. nan for none."""
    if not len(vectors):
        return float("nan")
    plain = np.asarray(vectors, np.float64)
    small = plain @ plain.T if len(plain) <= plain.shape[1] else plain.T @ plain
    values = np.linalg.eigvalsh(small) / len(plain)
    values = values[values > 1e-12]
    values = values / values.sum()
    return float(np.exp(-(values * np.log(values)).sum()))
