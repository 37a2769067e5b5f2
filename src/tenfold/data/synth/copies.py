"""Exact copies: rows of one table that stand in another, and how many of them chance would bring.

Knows rows as keys; knows neither generators nor verdicts.
"""

from __future__ import annotations

from collections import Counter

import numpy as np


def is_copy(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,) bool: which keys of `rows` stand in `known`."""
    seen = set(known.tolist())
    return np.fromiter((row in seen for row in rows.tolist()), bool, len(rows))


def singles(known: np.ndarray) -> tuple[np.ndarray, float]:
    """The keys that stand once in `known`, and the share of further real rows that would be one of them.

    The share is 2 N2/n, N2 being the keys that stand twice (Good, Biometrika 40, 1953), less two standard
    errors, so that a few pairs excuse nothing. What stands more often in the table is frequent outside it
    too, and a copy of it points to nobody.
    """
    counts = Counter(known.tolist())
    once = np.array([key for key, count in counts.items() if count == 1], dtype=object)
    twice = sum(count == 2 for count in counts.values())
    return once, max(0.0, 2 * twice - 4 * twice**0.5) / max(1, len(known))


def repeats_share(rows: np.ndarray) -> float:
    """The share of rows that have a twin among themselves."""
    counts = Counter(rows.tolist())
    return sum(count for count in counts.values() if count > 1) / max(1, len(rows))
