"""A second look at each block, with what the first said of all blocks of the page.

An article is one stretch with few gaps: what stands between two paragraphs is more likely text of it than the
same line elsewhere. Stacking (Wolpert, 1992) learns this from the first look's odds. Knows odds and places
only.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import features

OWN = features.NAMES[: features.NAMES.index(features.AROUND[0])]
"""Columns of the first look that the second sees again: the block's own text and what it stands in."""
_OFFSETS = (-3, -2, -1, 0, 1, 2, 3)
_REACHES = (2, 5, 12)
NAMES: tuple[str, ...] = (
    *OWN,
    *(f"odds_{offset:+d}" for offset in _OFFSETS),
    *(f"mean_{reach}" for reach in _REACHES),
    "mean_parent", "mean_grand", "before", "total", "highest", "since_sure", "until_sure", "num_sure",
    "share",
)  # fmt: skip
_NUM_OWN = len(OWN)
_LONG = 200
"""Words of a block that count at most, in means."""
_SURE, _SURE_WORDS = 0.7, 8
_FAR = 60


@numba.njit(cache=True, nogil=True)
def second_look(rows, odds, num_words, near):
    """`float32[blocks, len(NAMES)]`. `rows`, `num_words` and `near` as features.features gives them; `odds`:
    the first look's log odds."""
    num = len(rows)
    x = np.empty((num, len(NAMES)), np.float32)
    chance = 1.0 / (1.0 + np.exp(-odds))
    to_chance, to_words = np.zeros(num + 1), np.zeros(num + 1)
    sure = np.zeros(num, np.bool_)
    num_sure, likely, highest = 0, 0, 0.0
    for i in range(num):
        weight = min(num_words[i], _LONG) + 1.0
        to_chance[i + 1] = to_chance[i] + weight * chance[i]
        to_words[i + 1] = to_words[i] + weight
        sure[i] = chance[i] > _SURE and num_words[i] >= _SURE_WORDS
        num_sure += sure[i]
        likely += chance[i] > 0.5
        highest = max(highest, chance[i])
    since = _FAR
    for i in range(num):
        x[i, :_NUM_OWN] = rows[i, :_NUM_OWN]
        row = x[i, _NUM_OWN:]
        at = 0
        for offset in _OFFSETS:
            row[at] = chance[i + offset] if 0 <= i + offset < num else -1.0
            at += 1
        for reach in _REACHES:
            first, last = max(0, i - reach), min(num, i + reach + 1)
            row[at] = (to_chance[last] - to_chance[first]) / (to_words[last] - to_words[first])
            at += 1
        for level in range(2):
            first, last = near[i, 2 * level], near[i, 2 * level + 1]
            row[at] = (to_chance[last] - to_chance[first]) / (to_words[last] - to_words[first])
            at += 1
        row[at] = to_chance[i] / max(1.0, to_chance[num])
        row[at + 1] = np.log2(1.0 + to_chance[num])
        row[at + 2] = highest
        since = 0 if sure[i] else min(_FAR, since + 1)
        row[at + 3] = since
        row[at + 5] = min(num_sure, 100)
        row[at + 6] = likely / num
    until = _FAR
    for i in range(num - 1, -1, -1):
        until = 0 if sure[i] else min(_FAR, until + 1)
        x[i, len(NAMES) - 3] = until
    return x
