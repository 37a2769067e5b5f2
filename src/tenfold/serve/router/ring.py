"""A consistent hash ring: which name a key belongs to, with few keys moving when names come and go.

Karger et al., Consistent Hashing and Random Trees, STOC 1997. The places are the same in every process.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterable
from hashlib import blake2b
from typing import Protocol

_POINTS = 64
"""Of each name on the ring: shares differ by about 1/sqrt(64)."""


class Names(Iterable[str], Container[str], Protocol):
    """A mapping or a set of names."""


class Ring:
    def __init__(self) -> None:
        self._names: set[str] = set()
        self._points: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """Names on the ring."""
        return len(self._points) // _POINTS

    def add(self, name: str) -> None:
        if name not in self._names:
            self._names.add(name)
            for index in range(_POINTS):
                insort(self._points, (_hash(f"{index}:{name}".encode()), name))

    def remove(self, name: str) -> None:
        if name in self._names:
            self._names.remove(name)
            self._points = [point for point in self._points if point[1] != name]

    def nearest(self, key: int, among: Names) -> str:
        """The first of `among` (not empty) at or after the key's place; new names are added."""
        for name in among:
            self.add(name)
        points = self._points
        start = bisect_left(points, (_hash(key.to_bytes(8, "big")), ""))
        for index in range(start - len(points), start):
            name = points[index][1]
            if name in among:
                return name
        raise AssertionError("nobody to choose from")


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
