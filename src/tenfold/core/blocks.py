"""Blocks of tokens in an order that a seed decides: for training, on any number of ranks.

The row of ids is cut into blocks of one context, across documents. Every epoch shifts the cuts, so that no token
is always first, and shuffles all blocks of the corpus. Which block comes when is computed, not held: the state of
a reading is one number. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.core.permutation import Permutation, mixed
from tenfold.core.tokens import TokenStream
from tenfold.errors import ConfigError, InputError


class Blocks:
    """Blocks by number: 0 .. num_blocks - 1 are the first epoch, the next num_blocks the second."""

    def __init__(self, tokens: TokenStream, *, context: int, seed: int) -> None:
        """Raises InputError when the text is shorter than one block."""
        spare = tokens.num_tokens - 1 - context
        if spare < 0:
            raise InputError(
                f"the corpus has {tokens.num_tokens} tokens; one block takes {context + 1}",
                hint="collect more text, or shorten the context",
            )
        self.tokens = tokens
        self.context = context
        self._seed = seed
        self._shifts = min(context, spare + 1)
        """Cuts that differ: 0 .. shifts - 1, each leaving the same number of whole blocks."""
        self.num_blocks = (tokens.num_tokens - self._shifts) // context
        self._epoch = -1
        self._shift = 0
        self._order = Permutation(1, 0)

    def start(self, number: int) -> int:
        """Where block `number` begins in the row of ids."""
        epoch, place = divmod(number, self.num_blocks)
        if epoch != self._epoch:
            key = mixed(self._seed, epoch)
            self._epoch = epoch
            self._shift = mixed(key, 0) % self._shifts
            self._order = Permutation(self.num_blocks, mixed(key, 1))
        return self._shift + self._order[place] * self.context

    def __getitem__(self, number: int) -> bytes:
        """context + 1 ids as `tokens.dtype`: what goes in and, one further, what is to be predicted."""
        start = self.start(number)
        return self.tokens.read(start, start + self.context + 1)


class Share(Iterator[bytes]):
    """The blocks of one of several ranks, without end. All ranks together take every block once an epoch.

    share = Share(blocks, rank=3, ranks=8)
    block = next(share)
    share = Share(blocks, rank=0, ranks=4, position=share.position)    # later, on fewer ranks

    """

    def __init__(self, blocks: Blocks, *, rank: int = 0, ranks: int = 1, position: int = 0) -> None:
        """Raises ConfigError for a rank that is none of the ranks."""
        if not 0 <= rank < ranks:
            raise ConfigError("rank must be from 0 to ranks - 1", seen=f"{rank} of {ranks}")
        self._blocks, self._rank, self._ranks = blocks, rank, ranks
        self.position = position
        """Blocks that all ranks took together, once each has taken as many as this one: all there is to keep."""

    def __next__(self) -> bytes:
        block = self._blocks[self.position + self._rank]
        self.position += self._ranks
        return block
