"""Which rows a generator may see and which are kept for the judge: the same rows for everybody.

By a hash of the row's number, so that steps far apart draw the same hold-out. Knows counts only.
"""

from __future__ import annotations

import numpy as np


def held_out(num_rows: int, share: float) -> np.ndarray:
    """(num_rows,) bool: true for about `share` of them (splitmix64 of the row number; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = (np.arange(num_rows, dtype=np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53 < share
