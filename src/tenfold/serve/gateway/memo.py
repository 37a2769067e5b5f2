"""What was made of request bodies seen before: which model, which form, and the canonical key.

Traffic that a cache answers comes in the same bytes again and again; reading them once is enough. Bounded
by number and by bytes, in two generations: what is asked for again moves into the young one, and when that
is full the old one is forgotten. It knows nothing of answers.
"""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import sha256
from typing import NamedTuple

_WHOLE_BYTES = 2048
"""Longer bodies are known by their SHA-256 instead of by themselves."""
_EACH_BYTES = 700
"""Roughly what an entry takes beside its body."""


class Known(NamedTuple):
    """A request that may be answered from a cache."""

    key: bytes
    model: str
    digest: str
    stream: bool
    include_usage: bool


class Memo:
    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max(1, max_entries // 2)
        self._max_bytes = max_bytes // 2
        self._young: dict[tuple[str, Hashable, bytes], Known] = {}
        self._old: dict[tuple[str, Hashable, bytes], Known] = {}
        self._num_bytes = 0

    def get(self, endpoint: str, partition: Hashable, body: bytes) -> Known | None:
        name = (endpoint, partition, body if len(body) <= _WHOLE_BYTES else sha256(body).digest())
        known = self._young.get(name)
        if known is None and self._old:
            known = self._old.pop(name, None)
            if known is not None:
                self._add(name, known)
        return known

    def put(self, endpoint: str, partition: Hashable, body: bytes, known: Known) -> None:
        name = (endpoint, partition, body if len(body) <= _WHOLE_BYTES else sha256(body).digest())
        self._add(name, known)

    def clear(self) -> None:
        """A key that was made under another model digest or policy is no key any more."""
        self._young, self._old, self._num_bytes = {}, {}, 0

    def _add(self, name: tuple[str, Hashable, bytes], known: Known) -> None:
        num_bytes = _EACH_BYTES + len(name[2])
        if len(self._young) >= self._max_entries or self._num_bytes + num_bytes > self._max_bytes:
            self._old, self._young, self._num_bytes = self._young, {}, 0
        self._young[name] = known
        self._num_bytes += num_bytes
