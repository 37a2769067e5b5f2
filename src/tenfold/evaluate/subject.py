"""The model under examination: its network, tokenizer and the mark that stands before a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.core.asset import Model
from tenfold.errors import InputError
from tenfold.need import need

if TYPE_CHECKING:
    import tokenizers

    from tenfold.models.llama import Llama


@dataclass(frozen=True, slots=True)
class Subject:
    network: Llama
    tokenizer: tokenizers.Tokenizer
    start: int
    """Token id before every text: the begin mark, else the end mark."""
    context: int
    """Tokens."""
    vocabulary: int


def load(asset: Model, num_threads: int = 1) -> Subject:
    """Read a model asset and share its sums among `num_threads`. Raises InputError for a folder that is no model or has no begin or end mark."""
    torch = need("torch", extra="train", why="to evaluate a model")
    torch.set_num_threads(max(1, num_threads))
    from tenfold.models.folder import load_model

    try:
        network, config, tokenizer = load_model(asset.folder())
    except InputError as error:
        # a store's paths mean nothing to the reader: say which asset it was
        error.where = f"{asset.name}: {error.where}" if error.where else asset.name
        raise
    # A document that spells a special token is text like any other: it must not become that token.
    tokenizer.encode_special_tokens = True
    start = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    if start is None:
        raise InputError(
            "the model has neither a begin nor an end mark, so there is nothing to put before a text",
            where=f"{asset.name}/config.json",
            hint="set bos_token_id or eos_token_id",
        )
    entries = tokenizer.get_vocab_size()
    if entries > config.vocab_size:
        raise InputError(
            "the tokenizer has more entries than the model has rows: they do not belong together",
            where=asset.name,
            seen=[entries, config.vocab_size],
            hint="train the model with the tokenizer it is evaluated with",
        )
    return Subject(network, tokenizer, start, config.max_position_embeddings, config.vocab_size)


def continuation(subject: Subject, prompt: Sequence[int], num_tokens: int) -> list[int]:
    """The most likely next tokens, one by one; ends early at the context or at the begin or end mark."""
    from tenfold.models.cache import KVCache

    kept = list(prompt)[-(subject.context - num_tokens - 1) :]
    cache = KVCache(subject.network.config, slots=1)
    logits = subject.network.prefill(cache, [0], [[subject.start, *kept]])
    made: list[int] = []
    while len(made) < num_tokens:
        made.append(int(logits[0].argmax()))
        if made[-1] in (subject.start, subject.network.config.eos_token_id):
            return made[:-1]
        logits = subject.network.decode(cache, [0], [made[-1]])
    return made
