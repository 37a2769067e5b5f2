"""Text from a model, many prompts at once, straight on the weights. Knows nothing about what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from tenfold.models.folder import LoadedModel

SLOTS = 64
"""Sequences under way at once: their keys and values are the memory that counts."""


@dataclass(frozen=True, slots=True)
class Ask:
    prompt: str
    greedy: bool = False
    """Else drawn from the model's own distribution, temperature 1."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What came back: the prompt as the model saw it, and the text after it."""

    prompt: str
    text: str
    ends: tuple[int, ...]
    """For each generated token, where it ends in `text` (characters)."""


def generate(
    loaded: LoadedModel, asks: Sequence[Ask], *, prompt_tokens: int, new_tokens: int, seed: int
) -> list[Sample]:
    """One sample per ask, each at the start of a document. The same seed gives the same samples.

    Prompts keep their first `prompt_tokens`, the start mark included.
    """
    import torch

    generator = torch.Generator().manual_seed(seed % 2**63)
    context = loaded.config.max_position_embeddings
    new_tokens = max(1, min(new_tokens, context // 2))
    prompt_tokens = max(1, min(prompt_tokens, context - new_tokens))
    mark, samples = start_mark(loaded), []
    for start in range(0, len(asks), SLOTS):
        part = asks[start : start + SLOTS]
        encoded = loaded.tokenizer.encode_batch([a.prompt for a in part], add_special_tokens=False)
        prompts = [(mark + encoding.ids)[:prompt_tokens] or [0] for encoding in encoded]
        rows = _continue(loaded, prompts, [a.greedy for a in part], new_tokens, generator)
        samples += [
            _decoded(loaded, prompt, row) for prompt, row in zip(prompts, rows, strict=True)
        ]
    return samples


def start_mark(loaded: LoadedModel) -> list[int]:
    """What stands before a document: the model's own start mark, or the end mark of the one before."""
    config = loaded.config
    mark = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    return [] if mark is None else [mark]


def _continue(
    loaded: LoadedModel,
    prompts: Sequence[list[int]],
    greedy: Sequence[bool],
    new_tokens: int,
    generator: torch.Generator,
) -> list[list[int]]:
    import torch

    from tenfold.models.cache import KVCache

    longest = max(len(ids) for ids in prompts)
    cache = KVCache(loaded.config, slots=len(prompts), context=longest + new_tokens)
    slots = range(len(prompts))
    rows: list[list[int]] = [[] for _ in prompts]
    certain = torch.tensor(greedy)
    logits = loaded.model.prefill(cache, slots, prompts)
    for step in range(new_tokens):
        cumulative = logits.softmax(-1).cumsum(-1)
        at = torch.rand(len(rows), 1, generator=generator) * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, at, right=True).squeeze(1)
        drawn = drawn.clamp(max=cumulative.shape[1] - 1)
        chosen = torch.where(certain, logits.argmax(-1), drawn).tolist()
        for row, token in zip(rows, chosen, strict=True):
            row.append(token)
        if step + 1 < new_tokens:
            logits = loaded.model.decode(cache, slots, chosen)
    end = loaded.config.eos_token_id
    return [row[: row.index(end)] if end in row else row for row in rows]


def _decoded(loaded: LoadedModel, prompt: list[int], row: list[int]) -> Sample:
    tokenizer = loaded.tokenizer
    text = tokenizer.decode(row, skip_special_tokens=True)
    # A token may hold half a character: it ends where the text up to it ends, mended at most.
    ends = [len(tokenizer.decode(row[: n + 1], skip_special_tokens=True)) for n in range(len(row))]
    return Sample(
        tokenizer.decode(prompt, skip_special_tokens=True),
        text,
        tuple(min(end, len(text)) for end in ends),
    )
