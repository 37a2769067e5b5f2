"""What the ASGI edge keeps: answers by request and variant, by surrogate key, least recently used first out.

For one event loop. It knows no HTTP and asks nobody the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tenfold.serve.edge.contract import SurrogateControl
from tenfold.serve.edge.templates import Template

Headers = list[tuple[bytes, bytes]]
MAX_VARIANTS = 8
"""Of one request, by its Vary headers. More drop the oldest."""
MAX_PURGES = 4096
_ENTRY_BYTES = 1024
"""What an entry costs beside its body and key, roughly."""


@dataclass(slots=True, eq=False)
class Entry:
    """One stored answer. Times are on the edge's clock."""

    status: int
    headers: Headers
    body: bytes
    template: Template | None
    etag: bytes
    keys: frozenset[bytes]
    vary: tuple[tuple[bytes, bytes], ...]
    """(request header, the value it had)."""
    control: SurrogateControl
    fresh_until_s: float
    where: bytes = b""
    num_bytes: int = field(default=0)

    @property
    def stored(self) -> bool:
        """Whether it was taken in, and so may be given to others."""
        return self.where != b""

    def usable(self, now_s: float, grace_s: float) -> bool:
        return now_s < self.fresh_until_s + grace_s


class Store:
    def __init__(self, max_entries: int, max_bytes: int) -> None:
        """Bounds on the number of answers and on their bytes, both above 0."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._variants: dict[bytes, list[Entry]] = {}
        self._recent: OrderedDict[Entry, None] = OrderedDict()
        self._by_key: dict[bytes, set[Entry]] = {}
        self._serial = 0
        self._purged: OrderedDict[bytes, int] = OrderedDict()
        self._forgotten = 0
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def serial(self) -> int:
        """Goes up with each purge. A fill remembers it from before it asked."""
        return self._serial

    def get(self, where: bytes, request: Mapping[bytes, bytes]) -> Entry | None:
        for entry in self._variants.get(where, ()):
            if all(request.get(name, b"") == value for name, value in entry.vary):
                self._recent.move_to_end(entry)
                return entry
        return None

    def put(self, where: bytes, entry: Entry, serial: int) -> None:
        """Keep it, unless one of its keys was purged since `serial`: it may be from before that."""
        if serial < self._forgotten or any(self._purged.get(k, 0) > serial for k in entry.keys):
            return
        entry.where = where
        entry.num_bytes = _ENTRY_BYTES + len(entry.body) * (2 if entry.template else 1) + len(where)
        if entry.num_bytes > self._max_bytes:
            return
        variants = self._variants.setdefault(where, [])
        for old in [old for old in variants if old.vary == entry.vary]:
            self._drop(old)
        variants = self._variants.setdefault(where, [])
        variants.append(entry)
        self._recent[entry] = None
        self.num_bytes += entry.num_bytes
        for key in entry.keys:
            self._by_key.setdefault(key, set()).add(entry)
        if len(variants) > MAX_VARIANTS:
            self._drop(variants[0])
        while len(self._recent) > self._max_entries or self.num_bytes > self._max_bytes:
            self._drop(next(iter(self._recent)))

    def purge(self, keys: Iterable[bytes], expire: Callable[[Entry], None] | None = None) -> int:
        """Drop what has one of `keys`, or hand each to `expire`. Returns how many there were."""
        named: set[Entry] = set()
        for key in keys:
            self._serial += 1
            self._purged[key] = self._serial
            self._purged.move_to_end(key)
            named |= self._by_key.get(key, set())
        while len(self._purged) > MAX_PURGES:
            self._forgotten = self._purged.popitem(last=False)[1]
        for entry in named:
            if expire is None:
                self._drop(entry)
            else:
                expire(entry)
        return len(named)

    def _drop(self, entry: Entry) -> None:
        del self._recent[entry]
        self.num_bytes -= entry.num_bytes
        variants = self._variants[entry.where]
        variants.remove(entry)
        if not variants:
            del self._variants[entry.where]
        for key in entry.keys:
            have = self._by_key[key]
            have.discard(entry)
            if not have:
                del self._by_key[key]
