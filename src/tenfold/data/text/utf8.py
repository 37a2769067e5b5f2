"""UTF-8 inside kernels: one character forwards, one backwards, how many, and the hash of a span.

Knows bytes; Arrow has seen to it that they are valid.
"""

from __future__ import annotations

import numpy as np
from numba import njit

START = np.uint64(0xCBF29CE484222325)
"""FNV-1a of 64 bits begins with it and multiplies by the prime."""
PRIME = np.uint64(0x100000001B3)


@njit(cache=True, nogil=True)
def decode(data, at):
    """The code point that begins at byte `at`, and how many bytes it takes."""
    byte = np.int64(data[at])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), 2
    if byte < 0xF0:
        low = ((np.int64(data[at + 1]) & 0x3F) << 6) | (np.int64(data[at + 2]) & 0x3F)
        return ((byte & 0x0F) << 12) | low, 3
    low = ((np.int64(data[at + 2]) & 0x3F) << 6) | (np.int64(data[at + 3]) & 0x3F)
    return ((byte & 0x07) << 18) | ((np.int64(data[at + 1]) & 0x3F) << 12) | low, 4


@njit(cache=True, nogil=True)
def before(data, at):
    """Where the character begins that ends just before byte `at`."""
    at -= 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(cache=True, nogil=True)
def num_characters(data, start, end):
    """How many begin in a span."""
    count = 0
    for at in range(start, end):
        count += data[at] & 0xC0 != 0x80
    return count


@njit(cache=True, nogil=True)
def hashed(data, start, end):
    """FNV-1a of 64 bits of a span."""
    value = START
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * PRIME
    return value
