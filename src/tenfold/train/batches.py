"""Text as tokens in a file, and fixed blocks of it in an order that a seed decides.

Documents follow each other, an end token between them, and are cut into blocks of one context. Every
epoch shifts the cuts and draws a new order, so that no token is always first. The file is memory mapped:
the corpus never has to fit in memory. Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tenfold.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TEXTS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Token ids of one split, one after the other, and the UTF-8 bytes of text they stand for."""

    path: Path
    num_tokens: int
    num_bytes: int
    dtype: str

    def open(self) -> np.ndarray:
        """The ids [num_tokens], read-only, paged in as they are used."""
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.num_tokens,))


def tokenise(
    texts: Iterable[str], tokenizer: Tokenizer, end_id: int | None, path: Path
) -> TokenFile:
    """Write the ids of `texts` to `path`, the end token after each, 2 bytes per token where they fit."""
    dtype = "<u2" if tokenizer.get_vocab_size() <= 1 << 16 else "<u4"
    num_tokens = num_bytes = 0
    with path.open("wb") as stream:
        for some in _chunks(texts):
            num_bytes += sum(len(text.encode()) for text in some)
            ids: list[int] = []
            for encoding in tokenizer.encode_batch_fast(some, add_special_tokens=False):
                ids.extend(encoding.ids)
                if end_id is not None:
                    ids.append(end_id)
            num_tokens += len(ids)
            stream.write(np.asarray(ids, dtype=dtype).tobytes())
    return TokenFile(path, num_tokens, num_bytes, dtype)


class Blocks:
    """Batches of blocks [part, context + 1]: the inputs and, one further, what is to be predicted."""

    def __init__(
        self, tokens: TokenFile, *, context: int, batch: int, part: int, seed: int
    ) -> None:
        """`part` blocks at a time go through the network; it divides `batch`. Raises InputError when the
        text is shorter than one block."""
        spare = tokens.num_tokens - 1 - context
        if spare < 0:
            raise InputError(
                f"the corpus has {tokens.num_tokens} tokens; one block takes {context + 1}",
                hint="collect more text, or shorten the context",
            )
        self._ids = tokens.open()
        self._context = context
        self._batch = batch
        self._part = part
        self._seed = seed
        self._shifts = min(context, spare + 1)
        """Cuts that differ: 0 .. shifts - 1, each leaving the same number of whole blocks."""
        self.num_blocks = (tokens.num_tokens - self._shifts) // context
        self.units_per_step = batch * context
        self._order: tuple[int, int, Tensor] | None = None

    def at(self, step: int) -> list[Tensor]:
        blocks = [self._block(step * self._batch + number) for number in range(self._batch)]
        return list(torch.stack(blocks).split(self._part))

    def _block(self, number: int) -> Tensor:
        epoch, place = divmod(number, self.num_blocks)
        if self._order is None or self._order[0] != epoch:
            chance = torch.Generator().manual_seed((self._seed + epoch) % 2**63)
            shift = int(torch.randint(self._shifts, (), generator=chance))
            order = torch.randperm(self.num_blocks, generator=chance)
            self._order = (epoch, shift, order)
        _, shift, order = self._order
        start = shift + int(order[place]) * self._context
        return torch.from_numpy(self._ids[start : start + self._context + 1].astype(np.int64))


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while some := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield some
