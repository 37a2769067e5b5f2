"""`compress.int8`: a model's matrices as 8-bit integers, with what that changes in its answers.

Rounding to nearest, one scale per output channel: no calibration data is needed, the corpus only tells
how far the answers moved. Whether the loss of quality is worth it is for `evaluate.compression` and the
checks of the factory to say. The format and the arithmetic are in `tenfold.models.int8`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tenfold.core.asset import Corpus, Draft, Model
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError
from tenfold.need import need

if TYPE_CHECKING:
    from torch import Tensor

    from tenfold.models.folder import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Config:
    """How much text the change is measured on."""

    sample_tokens: int = 4096
    """Held-out tokens (training tokens where nothing is held out), 2 to 1,000,000."""

    def __post_init__(self) -> None:
        if not 2 <= self.sample_tokens <= 1_000_000:
            raise ConfigError(
                "sample_tokens must be between 2 and 1000000", seen=self.sample_tokens
            )


class Change(NamedTuple):
    """What quantising did to the predictions on a sample."""

    num_tokens: int
    max_logit_difference: float
    """Largest absolute difference of any logit."""
    divergence_nats: float
    """Mean Kullback-Leibler divergence of the new distribution from the old, per token."""
    agreement: float
    """Share of positions where both predict the same token first."""


@step(version="1", name="compress.int8", produces=Model, resources=Resources(cpu=1))
def int8(model: Model, corpus: Corpus, ctx: Context, *, config: Int8Config) -> Draft:
    """Quantise. Metrics: bytes_before, bytes_after, ratio (weights on disk, after / before), and on the
    sample max_logit_difference, divergence_nats, agreement. Raises InputError for foreign models."""
    torch = need("torch", extra="train", why="to quantise a model")
    from tenfold.models.folder import WEIGHTS, load_model, save_int8

    torch.set_num_threads(max(1, ctx.cpu))
    before = load_model(model.folder())
    draft = save_int8(ctx.draft(Model.kind), model, compressed_from=model.digest)
    after = load_model(draft.path(WEIGHTS).parent)
    num_bytes = model.files[WEIGHTS].num_bytes, draft.path(WEIGHTS).stat().st_size
    ctx.metric("bytes_before", num_bytes[0], unit="bytes")
    ctx.metric("bytes_after", num_bytes[1], unit="bytes")
    ctx.metric("ratio", num_bytes[1] / num_bytes[0])
    blocks = sample(corpus, before, config.sample_tokens)
    if blocks:
        found = change(before, after, blocks)
        ctx.metric("max_logit_difference", found.max_logit_difference)
        ctx.metric("divergence_nats", found.divergence_nats, unit="nats")
        ctx.metric("agreement", found.agreement)
        ctx.progress(1, 1, f"{found.agreement:.1%} of the first choices agree")
    return draft


def sample(corpus: Corpus, loaded: LoadedModel, num_tokens: int) -> list[Tensor]:
    """Blocks of token ids, none longer than the context, from held-out documents first."""
    import torch

    context = loaded.config.max_position_embeddings
    blocks: list[Tensor] = []
    left = num_tokens
    for split in ("heldout", "train"):
        for document in corpus.documents(split):
            ids = loaded.tokenizer.encode(document.text, add_special_tokens=False).ids
            ids = ids[: min(context, left)]
            if ids:
                blocks.append(torch.tensor(ids))
                left -= len(ids)
            if not left:
                return blocks
        if blocks:
            return blocks
    return blocks


def change(before: LoadedModel, after: LoadedModel, blocks: list[Tensor]) -> Change:
    """Compare the predictions of two models with the same vocabulary, block by block."""
    import torch

    largest, divergence, agreeing, num_tokens = 0.0, 0.0, 0, 0
    with torch.inference_mode():
        for block in blocks:
            old, new = (m.model(block.unsqueeze(0))[0] for m in (before, after))
            largest = max(largest, float((old - new).abs().max()))
            old_log, new_log = old.log_softmax(-1), new.log_softmax(-1)
            divergence += float((old_log.exp() * (old_log - new_log)).sum())
            agreeing += int((old.argmax(-1) == new.argmax(-1)).sum())
            num_tokens += len(block)
    return Change(num_tokens, largest, divergence / num_tokens, agreeing / num_tokens)
