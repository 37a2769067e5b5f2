"""Keys and values of running sequences: a fixed number of slots, each with a length of its own.

A slot holds one sequence. The cache knows nothing about requests or scheduling; who decides which slot
is whose is the engine. Memory: `num_bytes`, allocated once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.errors import InputError
from tenfold.models.config import LlamaConfig

BLOCK = 32
"""Positions."""


class KVCache:
    """`kv` is [layers, slots, width, 2 * kv_heads, head_dim]: the key heads, then the value heads.

    Keys and values lie side by side so that a decoding step writes both with one indexed store, and the
    position comes before the head so that a prefix is one contiguous block.
    """

    def __init__(self, config: LlamaConfig, slots: int, context: int | None = None) -> None:
        self.context = min(
            context or config.max_position_embeddings, config.max_position_embeddings
        )
        self.width = -(-self.context // BLOCK) * BLOCK
        """Positions with room in memory: the context up to a whole block, so that kernels can read whole
        blocks. Those beyond the context are never filled."""
        self.slots = slots
        self.lengths = [0] * slots
        """Tokens held by each slot."""
        self.kv = torch.zeros(
            config.num_hidden_layers,
            slots,
            self.width,
            2 * config.num_key_value_heads,
            config.head_dim,
        )

    @property
    def num_bytes(self) -> int:
        return self.kv.numel() * self.kv.element_size()

    def clear(self, slot: int) -> None:
        """Forget a sequence. Old numbers stay behind its length and are never read."""
        self.lengths[slot] = 0

    def share(self, source: int, target: int, num_tokens: int) -> None:
        """Make `target` begin with the first `num_tokens` of `source`: a common prefix computed once."""
        if num_tokens > self.lengths[source]:
            raise InputError(
                "a slot cannot share more tokens than it holds",
                seen=(num_tokens, self.lengths[source]),
            )
        if source != target:
            self.kv[:, target, :num_tokens] = self.kv[:, source, :num_tokens]
        self.lengths[target] = num_tokens

    def room_for(self, slot: int, num_tokens: int) -> Tensor:
        """Positions [num_tokens] that the next tokens of a slot take. Raises InputError when it is full."""
        start = self.lengths[slot]
        if start + num_tokens > self.context:
            raise InputError(
                f"{start} + {num_tokens} tokens do not fit a context of {self.context}",
                hint="shorten the prompt, or end the sequence",
            )
        return torch.arange(start, start + num_tokens)
