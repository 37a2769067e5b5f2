"""The weights, the cache of keys and values, and the promise that neighbours change nothing.

Floating-point sums depend on their order, and the order depends on the kernel, which the libraries choose
by shape: a matrix product with one row takes another path than one with five, and attention over 37
positions adds up differently than over 64. So a row's logits could differ in the last bit with the company
it keeps, and at a near tie greedy text would follow. Here they do not, by construction:

- a prompt is read alone: its shapes are its own;
- a decode step has a number of rows from a short ladder (idle slots fill it up) and attention reads a
  whole number of blocks of positions, so that every product and sum goes through the same kernel with
  the same order for each row; what lies behind a row's own length adds exact zeros;
- which rungs and which block size do that is not assumed. It depends on the BLAS, the processor and the
  number of threads, and is *observed* at start by `exactness`: only shapes whose rows were bit-equal to the
  largest shape's are used. If even the largest shape fails, `exact` is False and `Ready` says so.

The cost is a few idle rows when there is little to do, when time is cheapest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.models.cache import KVCache
from tenfold.models.llama import Llama

SMALLEST_RUNG = 4
"""Rows. Below four, BLAS libraries switch to matrix-vector kernels."""


class Network(Protocol):
    """What the scheduler needs: slots that hold sequences, the first `n` of them running."""

    num_slots: int
    context_tokens: int

    def prefill(self, slot: int, ids: Sequence[int]) -> Tensor:
        """Read a prompt into an empty slot. Logits [V] of the token after it."""
        ...

    def decode(self, ids: Sequence[int]) -> Tensor:
        """Append one token to each of the first len(ids) slots. Logits [R, V]."""
        ...

    def move(self, source: int, target: int) -> None:
        """Continue a sequence in another slot; the source is empty afterwards."""
        ...

    def free(self, slot: int) -> None: ...

    def embed(self, ids: Sequence[int]) -> list[float]:
        """The mean of the final hidden states of a text, of Euclidean length one."""
        ...


class LlamaNetwork:
    """A Llama with its cache. `rungs` and `block` are the shapes in use, see `exactness`."""

    def __init__(self, model: Llama, num_slots: int, context_tokens: int | None = None) -> None:
        self.model = model
        # Whole groups of rows, so that a full house has a shape that every rung can equal.
        whole = num_slots if num_slots == 1 else -(-num_slots // SMALLEST_RUNG) * SMALLEST_RUNG
        self.cache = KVCache(model.config, whole, context_tokens)
        self.num_slots = num_slots
        self.context_tokens = self.cache.context
        self.rungs: tuple[int, ...] = (whole,)
        self.block = self.cache.width
        self.exact = False

    def prefill(self, slot: int, ids: Sequence[int]) -> Tensor:
        self.cache.clear(slot)
        return self.model.prefill(self.cache, [slot], [ids])[0]

    def decode(self, ids: Sequence[int]) -> Tensor:
        num_rows = len(ids)
        shape = next(rung for rung in self.rungs if rung >= num_rows)
        longest = max(self.cache.lengths[:num_rows]) + 1
        width = min(-(-longest // self.block) * self.block, self.cache.width)
        idle = shape - num_rows
        logits_RV = self.model.decode(self.cache, range(shape), [*ids, *[0] * idle], width)
        for slot in range(num_rows, shape):
            self.cache.clear(slot)
        return logits_RV[:num_rows]

    def move(self, source: int, target: int) -> None:
        self.cache.share(source, target, self.cache.lengths[source])
        self.cache.clear(source)

    def free(self, slot: int) -> None:
        self.cache.clear(slot)

    def embed(self, ids: Sequence[int]) -> list[float]:
        ids_BT = torch.tensor([list(ids)])
        pooled = self.model.pooled(ids_BT, torch.ones_like(ids_BT, dtype=torch.bool))
        return F.normalize(pooled[0], dim=0).tolist()
