"""The loss of a network on each token of each text, however long the text is.

A text longer than the context is read in windows that overlap: a window moves on by `stride` tokens and
only its new tokens count, so every token is scored exactly once and (but for a text's first ones) with at
least `context - stride` tokens before it. Knows token ids, not text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.errors import ConfigError
from tenfold.need import need

if TYPE_CHECKING:
    import numpy as np

    from tenfold.models.llama import Llama


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs `sequence[start : end]` of a text; the last `num_scored` of their successors count."""

    text: int
    start: int
    end: int
    num_scored: int


def windows(lengths: Sequence[int], *, context: int, stride: int) -> Iterator[Window]:
    """Windows over texts of `lengths` tokens, each read with one token put before it."""
    if not 1 <= stride <= context:
        raise ConfigError(f"stride must be between 1 and the context of {context}", seen=stride)
    for text, length in enumerate(lengths):
        scored = 0
        while scored < length:
            end = min(length, scored + (stride if scored else context))
            yield Window(text, max(0, end - context), end, end - scored)
            scored = end


def losses(
    model: Llama,
    texts: Sequence[Sequence[int]],
    *,
    start: int,
    context: int,
    stride: int,
    batch_tokens: int = 4096,
) -> list[np.ndarray]:
    """Negative log-likelihoods in nats, float64 (num_tokens,) per text. `start` stands before each text.

    Windows of like length share a batch of at most `batch_tokens` tokens, padded on the right, which a
    causal network does not see.
    """
    np = need("numpy", extra="train", why="to evaluate a model")
    torch = need("torch", extra="train", why="to evaluate a model")
    result = [np.empty(len(text)) for text in texts]
    plan = sorted(
        windows([len(text) for text in texts], context=context, stride=stride),
        key=lambda window: (window.start - window.end, window.text, window.start),
    )
    with torch.inference_mode():
        for batch in _batches(plan, batch_tokens):
            longest = max(window.end - window.start for window in batch)
            ids = torch.full((len(batch), longest), start)
            wanted = torch.full((len(batch), longest), -100)
            for row, window in enumerate(batch):
                text, num_inputs = texts[window.text], window.end - window.start
                # the input before token n is token n - 1, and before the first one the mark
                before = [start] if window.start == 0 else []
                inputs = [*before, *text[max(window.start - 1, 0) : window.end - 1]]
                ids[row, :num_inputs] = torch.tensor(inputs)
                new = text[window.end - window.num_scored : window.end]
                wanted[row, num_inputs - len(new) : num_inputs] = torch.tensor(new)
            mask = wanted != -100
            # Only the rows that count go through the output layer, the widest product of a small model.
            logits = model.logits(model.hidden(ids)[mask])
            flat = torch.nn.functional.cross_entropy(logits.float(), wanted[mask], reduction="none")
            values = flat.double().numpy()
            at = 0
            for window in batch:
                result[window.text][window.end - window.num_scored : window.end] = values[
                    at : at + window.num_scored
                ]
                at += window.num_scored
    return result


def _batches(plan: Sequence[Window], batch_tokens: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for window in plan:  # longest first, so the first of a batch is its width
        width = batch[0].end - batch[0].start if batch else 0
        if batch and width * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
