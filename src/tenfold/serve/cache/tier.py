"""What a tier is, what it keeps, and the chain a request walks through.

A tier answers for a canonical key or says None; it never calls a model and never sees a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tenfold.errors import UnknownName


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer, in the form both a whole and a streamed delivery are made of."""

    response_id: str
    """Of the answer that was generated."""
    model_digest: str
    backend: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    body: bytes
    """The whole answer after its id and creation time."""
    pieces: tuple[str, ...] = ()
    """The text as it was streamed, so that a replay has the same chunks."""
    finish_reason: str = ""

    @property
    def num_bytes(self) -> int:
        """Roughly what it takes in memory: contents plus what Python adds per object."""
        return 512 + len(self.body) + sum(64 + 2 * len(piece) for piece in self.pieces)


class Tier(Protocol):
    """A place answers may come from. Calls must return at once: they run on the event loop."""

    name: str

    def get(self, key: bytes) -> Stored | None: ...

    def put(self, key: bytes, answer: Stored) -> None: ...

    @property
    def num_entries(self) -> int: ...

    @property
    def num_bytes(self) -> int: ...


class Tiers:
    """Asked in order, cheapest first; what a later one knows, the earlier ones learn."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.chain = tuple(tiers)
        self.names = tuple(tier.name for tier in tiers)
        self.num_hits = 0
        self.num_misses = 0

    def __bool__(self) -> bool:
        return bool(self.chain)

    def get(self, key: bytes) -> tuple[str, Stored] | None:
        """The name of the tier that knew, and the answer."""
        for depth, tier in enumerate(self.chain):
            answer = tier.get(key)
            if answer is not None:
                for earlier in self.chain[:depth]:
                    earlier.put(key, answer)
                self.num_hits += 1
                return tier.name, answer
        self.num_misses += 1
        return None

    def put(self, key: bytes, answer: Stored) -> None:
        for tier in self.chain:
            tier.put(key, answer)


def open_tiers(names: Sequence[str], makers: dict[str, Callable[[], Tier]]) -> Tiers:
    """The chain of `names`. Raises UnknownName for a tier that nobody makes."""
    for name in names:
        if name not in makers:
            raise UnknownName("tier", name, makers, where="tiers")
    return Tiers([makers[name]() for name in names])
