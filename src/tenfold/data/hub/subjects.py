"""Which persons a segment may speak of: keyed hashes, as an exact list or, for many, as a Bloom filter.

Names never come here, only the keyed hashes of `record.SUBJECTS`; without the key nothing can be looked up.
A filter errs on one side: `may_hold` is never False for a subject that is there. Knows no file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

EXACT_KEYS = 4096
"""Up to this many subjects the list itself is smaller than an index is useful."""
_BITS_PER_KEY = 14.4
_PROBES = 10
"""At 14.4 bits and 10 probes one in a thousand strangers is taken for known (Bloom 1970)."""
_LIST, _BLOOM = b"L", b"B"


@dataclass(frozen=True, slots=True)
class SubjectFilter:
    """Built by `of`; `to_bytes` is the same for the same set of subjects."""

    keys: frozenset[bytes] | None
    """All of them, where they are few."""
    bits: bytes = b""
    """Else the Bloom filter, least significant bit first."""

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> SubjectFilter:
        distinct = frozenset(keys)
        if len(distinct) <= EXACT_KEYS:
            return cls(distinct)
        num_bits = 8 * math.ceil(len(distinct) * _BITS_PER_KEY / 8)
        bits = np.zeros(num_bits, dtype=np.uint8)
        bits[_places(sorted(distinct), num_bits).ravel()] = 1
        return cls(None, np.packbits(bits, bitorder="little").tobytes())

    def may_hold(self, key: bytes) -> bool:
        if self.keys is not None:
            return key in self.keys
        places = _places([key], 8 * len(self.bits))[0]
        return all(self.bits[place >> 3] >> (place & 7) & 1 for place in places.tolist())

    def to_bytes(self) -> bytes:
        if self.keys is None:
            return _BLOOM + self.bits
        return _LIST + b"".join(bytes([len(key)]) + key for key in sorted(self.keys))

    @classmethod
    def from_bytes(cls, data: bytes) -> SubjectFilter:
        if data[:1] == _BLOOM:
            return cls(None, data[1:])
        keys, at = set(), 1
        while at < len(data):
            end = at + 1 + data[at]
            keys.add(data[at + 1 : end])
            at = end
        return cls(frozenset(keys))


def _places(keys: list[bytes], num_bits: int) -> np.ndarray:
    """(keys, probes): bits of each key. The keys are hashes already: two halves, combined linearly
    (Kirsch and Mitzenmacher 2006)."""
    wide = np.frombuffer(b"".join(key[:16].ljust(16, b"\0") for key in keys), dtype="<u8")
    first, second = wide[0::2, None], wide[1::2, None] | np.uint64(1)
    probes = np.arange(_PROBES, dtype=np.uint64)[None, :]
    return (first + probes * second) % np.uint64(num_bits)
