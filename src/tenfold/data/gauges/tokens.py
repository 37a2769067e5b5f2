"""Words of texts as numbers, and the shares of distinct n-grams in blocks of equally many words.

Of more text fewer n-grams are new (Heaps' law), so a share of distinct ones compares only at equal size: every
block has the same number of words, and the figure is the mean over blocks (as Li et al. 2016 count distinct-n).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORD = re.compile(r"\w+")
ORDERS = (1, 2, 3, 4)
_ODD = np.uint64(0x9E3779B97F4A7C15)

Numbers = npt.NDArray[np.uint64]


def words(text: str | None) -> list[str]:
    """In lower case."""
    return WORD.findall(text.lower()) if text else []


def numbered(texts: Sequence[str | None], most: int) -> list[Numbers]:
    """Each text's words as numbers, equal for equal words, until there are `most` words in all."""
    known: dict[str, int] = {}
    found: list[Numbers] = []
    total = 0
    for text in texts:
        if total >= most:
            break
        numbers = [known.setdefault(word, len(known)) for word in words(text)]
        total += len(numbers)
        found.append(np.array(numbers, np.uint64))
    return found


def blocks(found: Sequence[Numbers], size: int) -> list[list[Numbers]]:
    """Whole texts one after the other, cut wherever a block has its `size` words; the rest is left out."""
    made: list[list[Numbers]] = []
    block: list[Numbers] = []
    room = size
    for numbers in found:
        while len(numbers) >= room:
            made.append([*block, numbers[:room]])
            numbers, block, room = numbers[room:], [], size
        if len(numbers):
            block.append(numbers)
            room -= len(numbers)
    return made


def distinct(block: Sequence[Numbers], order: int) -> float:
    """Distinct n-grams over n-grams; none crosses from one text to the next. nan where there is none."""
    grams = np.concatenate([_grams(numbers, order) for numbers in block])
    return len(np.unique(grams)) / len(grams) if len(grams) else float("nan")


def _grams(numbers: Numbers, order: int) -> Numbers:
    count = len(numbers) - order + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    mixed = numbers[:count] + np.uint64(1)
    for place in range(1, order):
        mixed = (
            (mixed ^ (mixed >> np.uint64(31))) * _ODD
            + numbers[place : place + count]
            + np.uint64(1)
        )
    return mixed
