"""Text as tokens in a file, and batches of blocks of tokens as tensors.

Which block comes when is decided by `core.blocks`, for text tokenised here as for shards that the hub made.
Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tenfold.core import blocks
from tenfold.core.tokens import TokenFile, TokenStream, width_for

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TEXTS_AT_ONCE = 512


def tokenise(
    texts: Iterable[str], tokenizer: Tokenizer, end_id: int | None, path: Path
) -> TokenStream:
    """Write the ids of `texts` to `path`, the end token after each, 2 bytes per token where they fit."""
    width = width_for(tokenizer.get_vocab_size())
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
            stream.write(np.asarray(ids, dtype=f"<u{width}").tobytes())
    file = TokenFile(path=path, num_tokens=num_tokens, num_bytes=num_bytes)
    return TokenStream([file], width)


def ids_of(tokens: TokenStream, start: int, stop: int) -> Tensor:
    """int64 [stop - start]"""
    ids = np.frombuffer(tokens.read(start, stop), dtype=tokens.dtype)
    return torch.from_numpy(ids.astype(np.int64))


class Blocks:
    """Batches of blocks [part, context + 1]: the inputs and, one further, what is to be predicted."""

    def __init__(
        self, tokens: TokenStream, *, context: int, batch: int, part: int, seed: int
    ) -> None:
        """`part` blocks at a time go through the network; it divides `batch`. Raises InputError when the
        text is shorter than one block."""
        self._blocks = blocks.Blocks(tokens, context=context, seed=seed)
        self._batch = batch
        self._part = part
        self.num_blocks = self._blocks.num_blocks
        self.units_per_step = batch * context

    def at(self, step: int) -> list[Tensor]:
        first = step * self._batch
        found = b"".join(self._blocks[first + number] for number in range(self._batch))
        ids = np.frombuffer(found, dtype=self._blocks.tokens.dtype).astype(np.int64)
        return list(torch.from_numpy(ids).view(self._batch, -1).split(self._part))


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while some := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield some
