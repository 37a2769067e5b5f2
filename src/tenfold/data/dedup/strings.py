"""How alike two short strings are, for columns of them. Knows bytes, not what the columns mean."""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.dedup.texts import Texts

_LONGEST = 64


@numba.njit(cache=True)
def _jaro_winkler(data, a, a_size, b, b_size, taken_a, taken_b):  # type: ignore[no-untyped-def]
    reach = max(max(a_size, b_size) // 2 - 1, 0)
    taken_a[:a_size] = False
    taken_b[:b_size] = False
    matches = 0
    for i in range(a_size):
        for j in range(max(0, i - reach), min(b_size, i + reach + 1)):
            if not taken_b[j] and data[a + i] == data[b + j]:
                taken_a[i] = taken_b[j] = True
                matches += 1
                break
    if matches == 0:
        return 0.0
    moved, j = 0, 0
    for i in range(a_size):
        if taken_a[i]:
            while not taken_b[j]:
                j += 1
            moved += data[a + i] != data[b + j]
            j += 1
    jaro = (matches / a_size + matches / b_size + (matches - moved // 2) / matches) / 3
    prefix = 0
    while prefix < min(4, a_size, b_size) and data[a + prefix] == data[b + prefix]:
        prefix += 1
    return jaro + 0.1 * prefix * (1 - jaro)


@numba.njit(cache=True)
def _alike(data, offsets, left, right, out):  # type: ignore[no-untyped-def]
    taken_a, taken_b = np.empty(_LONGEST, np.bool_), np.empty(_LONGEST, np.bool_)
    for pair in range(left.size):
        a, b = offsets[left[pair]], offsets[right[pair]]
        whole_a, whole_b = offsets[left[pair] + 1] - a, offsets[right[pair] + 1] - b
        if whole_a == 0 or whole_b == 0:
            out[pair] = -1.0
            continue
        same = whole_a == whole_b
        for at in range(whole_a):
            if not same:
                break
            same = data[a + at] == data[b + at]
        if same:
            out[pair] = 1.0
            continue
        found = _jaro_winkler(
            data, a, min(whole_a, _LONGEST), b, min(whole_b, _LONGEST), taken_a, taken_b
        )
        # Equal beginnings of longer strings are alike, not the same.
        out[pair] = min(found, 0.999)


def jaro_winkler(texts: Texts, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Winkler 1990, on the first 64 bytes: 0 to 1, float64 (num_pairs,); 1 for equal strings only; -1 where
    either is empty."""
    out = np.empty(len(left))
    _alike(*texts, np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out
