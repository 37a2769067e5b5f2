"""How much a text repeats itself: copies among its pieces, and the n-grams of its words, compiled.

The counts are those of Gopher's repetition rules (Rae et al. 2021, table A1) as datatrove makes them: a piece seen
before counts with its characters, an n-gram seen before counts and its words are stepped over. Knows
hashes and lengths, not texts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)


@njit(cache=True, nogil=True)
def mixed(value):
    """A hash whose low bits depend on all bits (the last steps of MurmurHash3)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return value ^ (value >> _SHIFT)


@njit(cache=True, nogil=True)
def room(count):
    """Places of a table for `count` keys: a power of two, at most half full."""
    places = 16
    while places < 2 * count:
        places *= 2
    return places


@njit(cache=True, nogil=True)
def copies(keys, lengths, count, table):
    """How many of the pieces were seen before, and their characters. `table` is scratch, room(count) long."""
    places = room(count)
    table[:places] = -1
    mask = np.uint64(places - 1)
    seen, characters = 0, 0
    for piece in range(count):
        key = keys[piece]
        place = key & mask
        while table[place] >= 0 and keys[table[place]] != key:
            place = (place + np.uint64(1)) & mask
        if table[place] >= 0:
            seen += 1
            characters += lengths[piece]
        else:
            table[place] = piece
    return seen, characters


@njit(cache=True, nogil=True)
def lengthen(grams, keys, n, count):
    """n-grams of n - 1 words become those of n, in place; `count` is the number of words."""
    for first in range(count - n + 1):
        grams[first] = mixed(grams[first] * _MIX + keys[first + n - 1])


@njit(cache=True, nogil=True)
def top(grams, upto, n, count, table, times):
    """Characters of the most frequent n-gram, its words joined by blanks, times its count; the first of equals.

    `upto[i]`: characters of the words before word i. `table` and `times` are scratch.
    """
    num_grams = count - n + 1
    if num_grams < 1:
        return 0
    places = room(num_grams)
    table[:places] = -1
    mask = np.uint64(places - 1)
    for gram in range(num_grams):
        key = grams[gram]
        place = key & mask
        while table[place] >= 0 and grams[table[place]] != key:
            place = (place + np.uint64(1)) & mask
        if table[place] >= 0:
            times[table[place]] += 1
        else:
            table[place] = gram
            times[gram] = 1
            continue
        times[gram] = 0
    best = 0
    for gram in range(1, num_grams):
        if times[gram] > times[best]:
            best = gram
    return (upto[best + n] - upto[best] + n - 1) * times[best]


@njit(cache=True, nogil=True)
def repeated(grams, upto, n, count, table):
    """Characters of n-grams seen before; after one, the search goes on behind it."""
    num_grams = count - n + 1
    if num_grams < 1:
        return 0
    places = room(num_grams)
    table[:places] = -1
    mask = np.uint64(places - 1)
    characters, gram = 0, 0
    while gram < num_grams:
        key = grams[gram]
        place = key & mask
        while table[place] >= 0 and grams[table[place]] != key:
            place = (place + np.uint64(1)) & mask
        if table[place] >= 0:
            characters += upto[gram + n] - upto[gram]
            gram += n
        else:
            table[place] = gram
            gram += 1
    return characters
