"""Exact copies: rows of one table that stand in another, and how many of them chance would bring.

Knows rows as keys; knows neither generators nor verdicts.
"""

from __future__ import annotations

import numpy as np


def is_copy(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,) bool: which keys of `rows` stand in `known`."""
    seen = set(known.tolist())
    return np.fromiter((row in seen for row in rows.tolist()), bool, len(rows))


def natural_share(known: np.ndarray) -> float:
    """How many of further real rows would at least be copies of `known`: its rows beyond the distinct ones.

    Between this and the Good-Turing estimate 1 - N1/n (Good, Biometrika 40, 1953) lies half of what stands
    twice; the lower figure is taken, so that a pair in the table does not excuse two copies.
    """
    return 1.0 - len(set(known.tolist())) / max(1, len(known))
