"""How likely a model finds sentences: the sum of log probabilities of their tokens. In nats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenfold.govern.generate import start_mark

if TYPE_CHECKING:
    from tenfold.models.folder import LoadedModel

BATCH_TOKENS = 1024
"""Tokens per forward pass: logits over a large vocabulary are the memory that counts."""


def log_likelihoods(loaded: LoadedModel, sentences: Sequence[str]) -> list[float]:
    """One number per sentence, in their order; higher is likelier.

    Every sentence begins a document: it follows the model's own start (or end) mark, where it has one.
    A sentence longer than the context is cut to it.
    """
    import torch

    model, config, tokenizer = loaded.model, loaded.config, loaded.tokenizer
    mark = start_mark(loaded)
    rows = [
        (mark + encoding.ids)[: config.max_position_embeddings]
        for encoding in tokenizer.encode_batch(list(sentences), add_special_tokens=False)
    ]
    scores = [0.0] * len(rows)
    with torch.inference_mode():
        for batch in _batches(rows):
            longest = len(rows[batch[-1]])
            ids = torch.zeros(len(batch), longest, dtype=torch.long)
            targets = torch.full((len(batch), longest), -100)
            for place, index in enumerate(batch):
                row = torch.tensor(rows[index])
                ids[place, : len(row)] = row
                targets[place, : len(row)] = row
            # What is padded on the right is never looked at from the left, and -100 is not scored.
            losses = torch.nn.functional.cross_entropy(
                model(ids[:, :-1]).flatten(0, 1),
                targets[:, 1:].flatten(),
                ignore_index=-100,
                reduction="none",
            )
            sums = losses.double().view(len(batch), -1).sum(1)
            for index, score in zip(batch, (-sums).tolist(), strict=True):
                scores[index] = score
    return scores


def _batches(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of rows of like length together, so that little is padded; rows of one token say nothing."""
    order = sorted((i for i in range(len(rows)) if len(rows[i]) > 1), key=lambda i: len(rows[i]))
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * len(rows[index]) <= BATCH_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
