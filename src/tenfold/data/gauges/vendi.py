"""The Vendi score: how many different things a set is as good as (Friedman & Dieng 2023, definition 3.1).

The exponential of the Shannon entropy of the eigenvalues of K / n, with K the likeness of every two: 1 for n
equal things, n for n that have nothing in common. It grows with n, so sets are compared at equal size.
"""

from __future__ import annotations

import numpy as np

from tenfold.data.gauges.gauge import Array
from tenfold.data.gauges.vectors import Vectors

POWER = 3
"""Of the cosine: texts of one language have much in common already (about 0.4), which it makes little of. Powers of a
positive kernel are positive (Schur)."""


def likeness(vectors: Vectors) -> Array:
    """(n, n), 1 for equal directions, 0 for what has nothing in common."""
    plain = np.asarray(vectors, np.float64)
    found: Array = (plain @ plain.T) ** POWER
    return found


def vendi(kernel: Array) -> float:
    """Of a positive likeness (n, n) with ones on its diagonal. nan for none."""
    if not len(kernel):
        return float("nan")
    values = np.linalg.eigvalsh(kernel) / len(kernel)
    values = values[values > 1e-12]
    values = values / values.sum()
    return float(np.exp(-(values * np.log(values)).sum()))
