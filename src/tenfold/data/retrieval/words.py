"""What counts as a word of a text or a question, and the number it goes by in an index.

An index holds hashes of words, never the words: 64 bits, at which a million words collide with a chance of
3e-8. Knows no language: no stemming, no stop words; frequent words weigh next to nothing by themselves.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

import numpy as np

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, compatibility forms and case folded (Unicode NFKC)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=1 << 18)
def number(word: str) -> int:
    """64 bits of BLAKE2b: the same on every machine."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def numbers(text: str) -> np.ndarray:
    """uint64, one for each word, in order."""
    return np.array([number(word) for word in words(text)], dtype=np.uint64)
