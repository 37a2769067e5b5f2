"""The language family: a Llama that learns to predict the next token. Knows no loop and no files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.tokens import TokenStream
from tenfold.models.config import LlamaConfig
from tenfold.models.llama import Llama
from tenfold.train.batches import ids_of
from tenfold.train.cross_entropy import linear_cross_entropy
from tenfold.train.optimisers import Method, make
from tenfold.train.precision import products_in
from tenfold.train.recipe import Phase


class LanguageRecipe:
    """One phase: cross-entropy of the next token."""

    def __init__(
        self,
        config: LlamaConfig,
        *,
        method: Method,
        learning_rate: float,
        embedding_rate: float,
        weight_decay: float,
        dtype: torch.dtype,
        heldout: TokenStream | None = None,
    ) -> None:
        self._config = config
        self._method = method
        self._learning_rate = learning_rate
        self._embedding_rate = embedding_rate
        self._weight_decay = weight_decay
        self._dtype = dtype
        self._heldout = heldout

    def build(self, generator: torch.Generator) -> Llama:
        model = Llama(self._config)
        model.initialise(generator)
        return model

    def phases(self, network: nn.Module) -> Sequence[Phase]:
        assert isinstance(network, Llama)  # for the type checker: `build` made it

        def loss(blocks: Tensor, _: torch.Generator) -> Tensor:
            hidden = network.hidden(blocks[:, :-1]).flatten(0, 1)
            head = network.embedding if network.head is None else network.head
            return linear_cross_entropy(
                hidden.to(self._dtype), cast(Tensor, head.weight), blocks[:, 1:].flatten()
            )

        optimisers = make(
            network,
            self._method,
            learning_rate=self._learning_rate,
            embedding_rate=self._embedding_rate,
            weight_decay=self._weight_decay,
        )
        return [Phase(name="loss", loss=loss, optimisers=optimisers)]

    def evaluate(self, network: nn.Module) -> Mapping[str, float]:
        """Loss in nats per token and bits per byte on held-out text, in the precision of training."""
        if self._heldout is None or self._heldout.num_tokens < 2:
            return {}
        with products_in(self._dtype):
            nats = heldout_loss(network, self._heldout, self._config.max_position_embeddings)
        per_byte = self._heldout.num_tokens / self._heldout.num_bytes / math.log(2)
        return {"heldout_loss": nats, "heldout_bits_per_byte": nats * per_byte}


@torch.inference_mode()
def heldout_loss(network: nn.Module, tokens: TokenStream, context: int, rows: int = 4) -> float:
    """Mean nats per token over non-overlapping blocks; the last, shorter block counts as what it is."""
    predicted = tokens.num_tokens - 1
    whole = predicted // context
    starts = range(0, whole * context, context)

    def batches() -> Iterator[Tensor]:
        blocks = (ids_of(tokens, start, start + context + 1) for start in starts)
        while some := list(islice(blocks, rows)):
            yield torch.stack(some)
        if predicted % context:
            yield ids_of(tokens, whole * context, tokens.num_tokens).unsqueeze(0)

    total = 0.0
    for batch in batches():
        logits = network(batch[:, :-1]).float().flatten(0, 1)
        total += float(F.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum"))
    return total / predicted
