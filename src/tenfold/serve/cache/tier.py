"""What a tier is, and the chain a request walks through, cheapest first.

    exact (dict) -> host (LMDB) -> [template, semantic: LookupTier] -> shared (Redis) -> a model

A tier answers for a canonical key or says None; it never calls a model. The chain sees to two things no tier
does alone: what a later one knows the earlier ones learn, and a purge is seen by all of them at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from tenfold.errors import StoreError, UnknownName
from tenfold.serve.cache.purge import EVERYTHING, Marks
from tenfold.serve.cache.stored import Stored

log = logging.getLogger("tenfold.cache")

SWEEP_SLICE = 512
"""Entries looked at before the event loop gets its turn again."""


class Tier(Protocol):
    """A place answers may come from. Calls return at once: they run on the event loop."""

    name: str

    def get(self, key: bytes) -> Stored | None: ...

    def put(self, key: bytes, stored: Stored) -> None: ...

    def sweep(self, dead: Callable[[Stored], bool]) -> Iterable[int]:
        """Drop what is dead, a slice at a time: each step yields how many went."""
        ...

    @property
    def num_entries(self) -> int: ...

    @property
    def num_bytes(self) -> int: ...

    def close(self) -> None: ...


@runtime_checkable
class RemoteTier(Protocol):
    """A place beyond a network. It is away at times; then `get` says None at once and `put` forgets."""

    name: str

    async def get(self, key: bytes) -> Stored | None: ...

    def put(self, key: bytes, stored: Stored) -> None:
        """Queued: whoever answers a client does not wait for it."""
        ...

    def purge(self, tag: str, at_s: float) -> None:
        """Let the other hosts know. They learn of it within their poll interval."""
        ...

    def start(self) -> None:
        """Begin to connect, on the running loop. Returns at once, whether it is there or not."""
        ...

    def watch(self, learn: Callable[[Mapping[str, float]], None]) -> None:
        """Have `learn` called with the marks that other hosts have made."""
        ...

    async def close(self) -> None: ...


class Asked(msgspec.Struct, frozen=True):
    """A request as a tier sees it that does not go by its key."""

    endpoint: str
    partition: str
    model: str
    digest: str
    plain: Mapping[str, Any]
    """The decoded body."""
    epoch: int = 0


class LookupTier(Protocol):
    """A tier that reads the request: templates, semantic neighbours. Between host and shared tiers.

    What it finds is not learned by the exact tiers: it was right for this request by a judgement that may
    be revised, and a copy under the exact key would outlive that.
    """

    name: str

    async def find(self, asked: Asked) -> Stored | None: ...


@runtime_checkable
class MarkBoard(Protocol):
    """Where workers of a host see each other's purges (the host tier)."""

    @property
    def generation(self) -> memoryview:
        """One unsigned 64-bit number, shared by all processes, that changes with every purge."""
        ...

    def marks(self) -> Mapping[str, float]: ...

    def mark(self, marks: Mapping[str, float]) -> None:
        """Returns when every worker can see them. Raises StoreError where they cannot be written."""
        ...


class Tiers:
    """The chain. For one event loop; a chain of none is falsy and knows nothing."""

    def __init__(
        self,
        tiers: Sequence[Tier] = (),
        *,
        lookups: Sequence[LookupTier] = (),
        remote: RemoteTier | None = None,
        board: MarkBoard | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`board` is the host tier where there is one: purges then reach every worker of the host."""
        self.chain = tuple(tiers)
        self.lookups = tuple(lookups)
        self.remote = remote
        self.names = tuple(
            tier.name for tier in (*tiers, *lookups, *(() if remote is None else (remote,)))
        )
        """In the order they are asked."""
        self.num_hits = 0
        self.num_misses = 0
        self._gets = [(tier.name, tier.get) for tier in self.chain]
        self._board = board
        self._clock = clock
        self._generation = board.generation if board else memoryview(bytearray(8)).cast("Q")
        self._seen = -1 if board else 0
        self._marks = Marks()
        self._swept = True
        """Nothing covered is left in the first tier, so its hits need no look at the marks."""
        self._sweeping: asyncio.Task[None] | None = None
        if remote is not None:
            remote.watch(self._learn_from_afar)

    def __bool__(self) -> bool:
        return bool(self.chain or self.lookups or self.remote)

    def start(self) -> None:
        """On the event loop that will use it."""
        if self.remote is not None:
            self.remote.start()

    def get(self, key: bytes) -> tuple[str, Stored] | None:
        """The name of the in-process or host tier that knew, and the answer.

        None counts as a miss only where nothing else is left to ask.
        """
        if self._generation[0] != self._seen:
            self._look_at_board()
        trusted = self._swept
        for depth, (name, get) in enumerate(self._gets):
            stored = get(key)
            if stored is not None and (trusted or not self._marks.covers(stored)):
                if depth:
                    for earlier in self.chain[:depth]:
                        earlier.put(key, stored)
                self.num_hits += 1
                return name, stored
            trusted = not self._marks
        if self.remote is None and not self.lookups:
            self.num_misses += 1
        return None

    async def get_remote(self, key: bytes, asked: Asked | None = None) -> tuple[str, Stored] | None:
        """The rest of the chain, after `get` said None: lookup tiers (given `asked`), then the shared one."""
        if asked is not None:
            for lookup in self.lookups:
                stored = await lookup.find(asked)
                if stored is not None and not self._marks.covers(stored):
                    self.num_hits += 1
                    return lookup.name, stored
        if self.remote is not None:
            stored = await self.remote.get(key)
            if stored is not None and not self._marks.covers(stored):
                for tier in self.chain:
                    tier.put(key, stored)
                self.num_hits += 1
                return self.remote.name, stored
        if self.remote is not None or self.lookups:
            self.num_misses += 1
        return None

    def put(self, key: bytes, stored: Stored) -> None:
        """Into every tier. An answer that a purge has overtaken is not kept."""
        if self._generation[0] != self._seen:
            self._look_at_board()
        if self._marks and self._marks.covers(stored):
            return
        for tier in self.chain:
            tier.put(key, stored)
        if self.remote is not None:
            self.remote.put(key, stored)

    def purge(self, tag: str) -> None:
        """Forget what carries `tag` (see purge.py), here and in all workers at once, on other hosts soon.

        Raises StoreError where the other workers cannot be told.
        """
        at_s = self._clock()
        self.learn({tag: at_s})
        if self.remote is not None:
            self.remote.purge(tag, at_s)
        if self._board is not None:
            self._board.mark({tag: at_s})

    def flush(self) -> None:
        self.purge(EVERYTHING)

    def learn(self, marks: Mapping[str, float]) -> None:
        """Purges that others made. They count from now on; the bytes go in slices, where a loop runs."""
        if not self._marks.learn(marks):
            return
        self._swept = False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no loop: nobody to be held up
            for tier in self.chain:
                for _ in tier.sweep(self._marks.covers):
                    pass
            self._finish_sweep()
            return
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._sweeping = loop.create_task(self._sweep())

    def _learn_from_afar(self, marks: Mapping[str, float]) -> None:
        """Also for the host's file, which outlives this process and may outlive the marks in Redis."""
        if self._board is not None:
            known = self._board.marks()
            new = {tag: at_s for tag, at_s in marks.items() if at_s > known.get(tag, -1.0)}
            try:
                if new:
                    self._board.mark(new)
            except StoreError as error:
                log.warning("%s", error)
        self.learn(marks)

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for tier in self.chain:
            tier.close()
        if self.remote is not None:
            await self.remote.close()

    async def _sweep(self) -> None:
        for tier in self.chain:
            for _ in tier.sweep(self._marks.covers):
                await asyncio.sleep(0)
        self._finish_sweep()

    def _finish_sweep(self) -> None:
        # What the board's tier holds is also written by workers that may not have seen the mark yet.
        self._swept = not self.chain or self.chain[0] is not self._board

    def _look_at_board(self) -> None:
        if self._board is not None:
            # The number first: a purge in between makes us look again, not miss it.
            self._seen = self._generation[0]
            self.learn(self._board.marks())


def open_tiers(
    names: Sequence[str], makers: Mapping[str, Callable[[], Tier | RemoteTier]]
) -> Tiers:
    """The chain of `names`, in that order; what is remote comes last.

    Raises UnknownName for a tier that nobody makes.
    """
    for name in names:
        if name not in makers:
            raise UnknownName("tier", name, makers, where="tiers")
    near: list[Tier] = []
    remote = None
    for name in names:
        made = makers[name]()
        if isinstance(made, RemoteTier):
            remote = made
        else:
            near.append(made)
    board = next((tier for tier in near if isinstance(tier, MarkBoard)), None)
    return Tiers(near, remote=remote, board=board)
