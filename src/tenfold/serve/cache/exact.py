"""The exact tier: answers by canonical key in this process, least recently used first to go.

Bounded by entries and by bytes, because an unbounded table is an outage on a timer. It knows nothing of
requests: a key is 32 bytes to it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from tenfold.serve.cache.tier import Stored


class ExactTier:
    """A dictionary with an order of use. Not for use from several threads."""

    name = "exact"

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        ttl_s: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """An answer larger than an eighth of `max_bytes` is not kept: it would evict a crowd."""
        self._entries: OrderedDict[bytes, tuple[Stored, int, float]] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._num_bytes = 0
        self.num_evicted = 0

    @property
    def num_entries(self) -> int:
        return len(self._entries)

    @property
    def num_bytes(self) -> int:
        return self._num_bytes

    def get(self, key: bytes) -> Stored | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._ttl_s is not None and self._monotonic() - entry[2] > self._ttl_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: bytes, answer: Stored) -> None:
        num_bytes = answer.num_bytes + len(key)
        if key in self._entries:
            self._drop(key)
        if num_bytes * 8 > self._max_bytes:
            return
        stored_at_s = 0.0 if self._ttl_s is None else self._monotonic()
        self._entries[key] = (answer, num_bytes, stored_at_s)
        self._num_bytes += num_bytes
        while len(self._entries) > self._max_entries or self._num_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.num_evicted += 1

    def _drop(self, key: bytes) -> None:
        self._num_bytes -= self._entries.pop(key)[1]
