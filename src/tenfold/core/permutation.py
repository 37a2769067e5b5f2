"""Every number below a size once, in an order that a key decides, without holding the order.

A Feistel network is a bijection whatever its round function is (Luby and Rackoff 1988); numbers that come out
too large go through it again until they fit (cycle walking: Black and Rogaway 2002). It shuffles; it hides
nothing. Knows no tokens.
"""

from __future__ import annotations

_ROUNDS = 6
"""Four make a large domain look random; a domain of a few bits takes more."""
_WORD = (1 << 64) - 1


class Permutation:
    """`permutation[i]` is where i goes. Equal sizes and keys give equal orders on every machine."""

    __slots__ = ("_half", "_keys", "_mask", "size")

    def __init__(self, size: int, key: int) -> None:
        """`size` 1 or more; `key` any number."""
        self.size = size
        self._half = ((size - 1).bit_length() + 1) // 2
        self._mask = (1 << self._half) - 1
        self._keys = [mixed(key, number) for number in range(_ROUNDS)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        """Raises IndexError outside of 0 .. size - 1."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        while True:  # fewer than four times on average: the domain is less than four sizes
            left, right = index >> self._half, index & self._mask
            for key in self._keys:
                left, right = right, left ^ (mixed(key, right) & self._mask)
            index = left << self._half | right
            if index < self.size:
                return index


def mixed(key: int, number: int) -> int:
    """64 bits of two numbers (the finaliser of SplitMix64: Steele, Lea and Flood 2014)."""
    word = (key + (number + 1) * 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
    return word ^ word >> 31
