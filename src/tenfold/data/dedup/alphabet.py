"""What is a word in which script, as tables that a kernel can look into. Knows code points, not texts."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np

APART, WITHIN, ALONE, BLANK = 0, 1, 2, 3
"""Kinds of a character: between words; part of a word; a word by itself; between words, and blank."""

_PLANES = 0x20000  # what lies above is ideographs, or not assigned
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # ideographs, extension A
    (0x4E00, 0x9FFF),  # ideographs
    (0xF900, 0xFAFF),  # ideographs, compatibility
)
"""Scripts written without blanks: each of their characters is taken for a word."""


class Alphabet(NamedTuple):
    """Tables over the first two planes of Unicode."""

    kinds: np.ndarray
    """uint8 (131072,)"""
    lower: np.ndarray
    """uint32 (131072,): the lower-case code point, or the same one where that is no single character."""


@lru_cache(maxsize=1)
def alphabet() -> Alphabet:
    """Words are runs of letters, digits, marks and `_`, as in Python's `\\w` plus the marks, without which
    words of Devanagari and its relatives would fall apart."""
    kinds = np.zeros(_PLANES, np.uint8)
    lower = np.arange(_PLANES, dtype=np.uint32)
    for code in range(_PLANES):
        character = chr(code)
        if character.isalnum() or unicodedata.category(character)[0] == "M" or character == "_":
            kinds[code] = WITHIN
        elif character.isspace():
            kinds[code] = BLANK
        small = character.lower()
        if small != character and len(small) == 1:
            lower[code] = ord(small)
    for first, last in _UNSPACED:
        part = kinds[first : last + 1]
        part[part == WITHIN] = ALONE
    return Alphabet(kinds, lower)
