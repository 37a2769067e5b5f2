"""The exact tier: answers by canonical key in this process, bounded by entries and by bytes.

What goes first is decided by S3-FIFO (Yang et al., SOSP 2023): a small queue on probation, a main queue, and
a memory of keys that left probation lately. A hit only counts up, so it costs less than moving an entry in an
LRU list. On Zipf streams (s 0.8 to 1.2, room for 1 % and 10 % of the keys) it hit 0 to 10 points more than
LRU, at the same cost. The tier knows nothing of requests: a key is 32 bytes to it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import SWEEP_SLICE

ENTRY_BYTES = 400
"""An entry with its key, its queue node and its share of the table; a test holds it against tracemalloc."""
PROBATION_SHARE = 10
"""The small queue may hold one part in so many."""
FORGOTTEN_SHARE = 2
"""As many keys are remembered after leaving as one entry in so many; 65 bytes and a table slot each."""


class _Entry:
    """Where an answer is kept. One without an answer waits in its queue to be dropped or filled again."""

    __slots__ = ("key", "num_bytes", "stored", "until_s", "uses")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.stored: Stored | None = None
        self.num_bytes = 0
        self.until_s = 0.0
        self.uses = 0


class ExactTier:
    """A dictionary and two queues. Not for use from several threads."""

    name = "exact"

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        ttl_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """An answer larger than an eighth of `max_bytes` is not kept: it would evict a crowd.

        `ttl_s` is the longest an answer stays; its own `expires_at_s` may be sooner.
        """
        self._entries: dict[bytes, _Entry] = {}
        self._probation: deque[_Entry] = deque()
        self._main: deque[_Entry] = deque()
        self._forgotten: set[bytes] = set()
        self._forgotten_order: deque[bytes] = deque()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_forgotten = max(1, max_entries // FORGOTTEN_SHARE)
        self._ttl_s = ttl_s
        self._clock = clock
        self._num_bytes = 0
        self._num_empty = 0
        self.num_evicted = 0

    @property
    def num_entries(self) -> int:
        return len(self._entries) - self._num_empty

    @property
    def num_bytes(self) -> int:
        """Memory taken, within a fifth."""
        return self._num_bytes

    def __contains__(self, key: bytes) -> bool:
        """Whether it is held, without counting as a use; from any thread."""
        return key in self._entries

    def get(self, key: bytes) -> Stored | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until_s and entry.until_s < self._clock():
            self._empty(entry)
            return None
        if entry.uses < 3:
            entry.uses += 1
        return entry.stored

    def put(self, key: bytes, stored: Stored) -> None:
        num_bytes = stored.num_bytes + ENTRY_BYTES
        entry = self._entries.get(key)
        if num_bytes * 8 > self._max_bytes:
            if entry is not None:
                self._empty(entry)  # the old answer is no longer the answer
            return
        if entry is None:
            entry = self._entries[key] = _Entry(key)
            self._num_empty += 1
            if key in self._forgotten:
                self._forgotten.discard(key)
                entry.uses = 1
                self._main.append(entry)
            else:
                self._probation.append(entry)
        self._empty(entry)
        self._fill(entry, stored, num_bytes)
        while len(self._entries) > self._max_entries or self._num_bytes > self._max_bytes:
            self._evict()

    def sweep(self, dead: Callable[[Stored], bool]) -> Iterator[int]:
        keys = list(self._entries)
        for start in range(0, len(keys), SWEEP_SLICE):
            num_dropped = 0
            for key in keys[start : start + SWEEP_SLICE]:
                entry = self._entries.get(key)
                if entry is not None and entry.stored is not None and dead(entry.stored):
                    self._empty(entry)
                    num_dropped += 1
            yield num_dropped

    def close(self) -> None:
        self._entries.clear()
        self._probation.clear()
        self._main.clear()
        self._forgotten.clear()
        self._forgotten_order.clear()
        self._num_bytes = self._num_empty = 0

    def _fill(self, entry: _Entry, stored: Stored, num_bytes: int) -> None:
        until_s = stored.expires_at_s
        if self._ttl_s is not None:
            latest_s = self._clock() + self._ttl_s
            until_s = min(until_s, latest_s) if until_s else latest_s
        entry.stored, entry.num_bytes, entry.until_s = stored, num_bytes, until_s
        self._num_bytes += num_bytes
        self._num_empty -= 1

    def _empty(self, entry: _Entry) -> None:
        if entry.stored is not None:
            self._num_bytes -= entry.num_bytes
            self._num_empty += 1
            entry.stored, entry.num_bytes = None, 0

    def _evict(self) -> None:
        """One step: an entry leaves, or moves from probation to main, or goes round main again."""
        probation, main = self._probation, self._main
        if probation and (not main or (len(probation) - 1) * PROBATION_SHARE > len(self._entries)):
            entry = probation.popleft()
            if entry.uses > 1 and entry.stored is not None:
                entry.uses = 0
                main.append(entry)
                return
            if entry.stored is not None:
                self._forgotten.add(entry.key)
                self._forgotten_order.append(entry.key)
                if len(self._forgotten_order) > self._max_forgotten:
                    self._forgotten.discard(self._forgotten_order.popleft())
        elif main:
            entry = main.popleft()
            if entry.uses and entry.stored is not None:
                entry.uses -= 1
                main.append(entry)
                return
        else:
            return
        if entry.stored is not None:
            self.num_evicted += 1
        self._empty(entry)
        self._num_empty -= 1
        del self._entries[entry.key]
