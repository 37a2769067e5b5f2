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


RARE = 3
"""Rows that stand more often than this in a table are frequent outside it too: a copy points to nobody."""


def rare(known: np.ndarray) -> tuple[np.ndarray, float]:
    """The keys that stand up to three times in `known`, and the share of further real rows among them.

    What stands r times has the mass (r + 1) N(r+1)/n, N(r) being the keys that stand r times (Good,
    Biometrika 40, 1953); two standard errors go off, so that a few pairs excuse nothing.
    """
    counts = Counter(known.tolist())
    keys = np.array([key for key, count in counts.items() if count <= RARE], dtype=object)
    often = Counter(counts.values())
    mass = sum((r + 1) * often[r + 1] for r in range(1, RARE + 1))
    error = sum((r + 1) ** 2 * often[r + 1] for r in range(1, RARE + 1)) ** 0.5
    return keys, max(0.0, mass - 2 * error) / max(1, len(known))
