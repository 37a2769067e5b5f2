"""`train.pretrain`: a Llama from fresh weights on the training part of a corpus, or of shards made of it.

Same text, tokenizer, settings and seed give the same bytes on the same machine, killed in between or
not. Knows the loop and the language recipe; knows nothing about how the model is judged or served.
"""

from __future__ import annotations

import math
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from tenfold.core.asset import Corpus, Draft, Model, Shards, Tokenizer
from tenfold.core.step import Context, Resources, step
from tenfold.core.tokens import TokenStream
from tenfold.errors import ConfigError, InputError
from tenfold.models.config import LlamaConfig
from tenfold.need import need

if TYPE_CHECKING:
    from torch import nn

    from tenfold.models.llama import Llama
    from tenfold.train.recipe import Phase

SPLITS = ("train", "heldout")
_PART_TOKENS = 2048
"""Tokens that go through the network at once: enough for full matrix products, few enough for the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Shape, budget and optimisation. One dial, `depth`, sets the shape; 0 means "follow the dial"."""

    depth: int = 2
    """Layers, 1 to 64. Two suit a corpus of a few megabytes and a minute of two cores: what a deeper and
    wider network cannot learn from as many tokens as it has time for, it does not know."""
    width: int = 0
    """Of the residual stream; 0: 64 x depth. A multiple of `heads`."""
    heads: int = 0
    """Query heads; 0: width / 32 up to a width of 256, then width / 64."""
    kv_heads: int = 0
    """Key-value heads, dividing `heads`; 0: half the heads if that divides, else all."""
    mlp: int = 0
    """Width inside the MLP; 0: 3 x width, to a multiple of 128."""
    context: int = 256
    """Tokens per block, and the longest text the model will take; 8 to 8192."""
    batch: int = 8
    """Blocks per update, 1 or more."""
    steps: int = 600
    """Updates, 1 or more. Tokens seen: steps x batch x context."""
    optimiser: Literal["muon", "adamw"] = "muon"
    """See `optimisers.py`."""
    learning_rate: float = 0.004
    """Of the matrices, at its peak; above 0."""
    embedding_rate: float = 0.06
    """Of embeddings, output layer and gains, at its peak; above 0. A token is seen rarely, so its row has
    to move far when it is."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; 0 to 0.5."""
    weight_decay: float = 0.02
    """0 to 1."""
    clip: float = 1.0
    """Largest gradient norm; 0: unbounded."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products; auto: bfloat16 where the processor has it. Weights are float32 anyway."""
    checkpoint_every: int = 150
    """Steps between checkpoints; 0: none."""

    def __post_init__(self) -> None:
        ranges = {
            "depth": (1, 64),
            "context": (8, 8192),
            "batch": (1, 65536),
            "steps": (1, 10**9),
            "warmup": (0.0, 0.5),
            "weight_decay": (0.0, 1.0),
            "clip": (0.0, math.inf),
            "checkpoint_every": (0, 10**9),
            "width": (0, 65536),
            "heads": (0, 1024),
            "kv_heads": (0, 1024),
            "mlp": (0, 1 << 20),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be between {low} and {high}", seen=value)
        for name in ("learning_rate", "embedding_rate"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))
        self.shape(vocabulary=1, bos_id=None, eos_id=None)  # a shape that cannot be is refused now

    def shape(self, *, vocabulary: int, bos_id: int | None, eos_id: int | None) -> LlamaConfig:
        """The network for a vocabulary. Raises ConfigError for sizes that do not divide."""
        width = self.width or 64 * self.depth
        heads = self.heads or max(1, width // (32 if width <= 256 else 64))
        kv_heads = self.kv_heads or (heads // 2 if heads % 2 == 0 else heads)
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=self.mlp or max(128, 3 * width // 128 * 128),
            num_hidden_layers=self.depth,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            max_position_embeddings=self.context,
            bos_token_id=bos_id,
            eos_token_id=eos_id,
        )


@step(version="2", name="train.pretrain", produces=Model, resources=Resources(cpu=2))
def pretrain(
    corpus: Corpus | Shards, tokenizer: Tokenizer, ctx: Context, *, config: PretrainConfig
) -> Draft:
    """Train; the same documents give the same model as a corpus and as shards. Metrics: loss (curve), heldout_loss, heldout_bits_per_byte, parameters, tokens, epochs,
    flops (matrix products, forward and backward), tokens_per_s, peak_rss_bytes."""
    torch = need("torch", extra="train", why="to train a model")
    from tenfold.models.folder import read_tokenizer, save_model
    from tenfold.train import batches, precision
    from tenfold.train.language import LanguageRecipe
    from tenfold.train.loop import LoopSettings, train
    from tenfold.train.schedule import warmup_cosine

    torch.set_num_threads(max(1, ctx.cpu))  # how many share a sum decides its last bits
    vocabulary = read_tokenizer(tokenizer.folder())
    begin_id, end_id = _special_ids(tokenizer, vocabulary)
    shape = config.shape(vocabulary=vocabulary.get_vocab_size(), bos_id=begin_id, eos_id=end_id)
    dtype = precision.settle(config.precision)
    with tempfile.TemporaryDirectory(prefix="tenfold-tokens-") as folder:
        tokens = (
            _of_shards(corpus, tokenizer)
            if isinstance(corpus, Shards)
            else {
                split: batches.tokenise(
                    (document.text for document in corpus.documents(split)),
                    vocabulary,
                    end_id,
                    Path(folder) / split,
                )
                for split in SPLITS
            }
        )
        if not tokens["train"].num_bytes:
            raise InputError(
                "the corpus has no training text",
                where=corpus.name,
                hint="lower heldout_share in data.curate, or collect more documents",
            )
        part = max(n for n in range(1, config.batch + 1) if _fits(n, config))
        blocks = batches.Blocks(
            tokens["train"], context=config.context, batch=config.batch, part=part, seed=ctx.seed
        )
        heldout = tokens["heldout"]
        recipe = LanguageRecipe(
            shape,
            method=config.optimiser,
            learning_rate=config.learning_rate,
            embedding_rate=config.embedding_rate,
            weight_decay=config.weight_decay,
            dtype=dtype,
            heldout=heldout if heldout.num_bytes else None,
        )
        settings = LoopSettings(
            steps=config.steps,
            seed=ctx.seed,
            schedule=warmup_cosine(config.steps, warmup=math.ceil(config.warmup * config.steps)),
            clip=config.clip,
            dtype=dtype,
            checkpoint_every=config.checkpoint_every,
        )
        report = _Report(ctx, config.steps, blocks.units_per_step)
        network, scores = train(recipe, blocks, settings, report)

    num_tokens = config.steps * blocks.units_per_step
    for name, value in scores.items():
        ctx.metric(name, value, unit="bits" if name.endswith("per_byte") else "nats")
    ctx.metric("parameters", shape.num_parameters)
    ctx.metric("tokens", num_tokens, unit="tokens")
    ctx.metric("epochs", config.steps * config.batch / blocks.num_blocks)
    ctx.metric("flops", 3 * shape.forward_flops(num_tokens, config.context), unit="FLOP")
    ctx.metric("tokens_per_s", report.tokens_per_s(), unit="tokens/s")
    ctx.metric("peak_rss_bytes", _peak_rss_bytes(), unit="bytes")
    return save_model(
        ctx.draft(Model.kind),
        cast("Llama", network),
        shape,
        tokenizer,
        recipe="language",
        tokens_seen=num_tokens,
        trained_in=str(dtype).removeprefix("torch."),
    )


class _Report:
    """The loop's events as the context's metrics, progress and checkpoints."""

    def __init__(self, ctx: Context, steps: int, tokens_per_step: int) -> None:
        self._ctx = ctx
        self._steps = steps
        self._tokens_per_step = tokens_per_step
        self._every = max(1, steps // 500)
        """A curve of some hundred points says as much as one of a million."""
        self._began_s = time.monotonic()
        self._began_at = 0
        self._done = 0

    def resume(self, network: nn.Module, phases: Sequence[Phase]) -> int:
        from tenfold.train import checkpoint

        found = self._ctx.resume()
        if found is not None:
            asset, self._began_at = found
            checkpoint.read(asset, network, phases)
            self._ctx.log("resumed", step=self._began_at)
        self._done = self._began_at
        self._began_s = time.monotonic()
        return self._began_at

    def stepped(self, step: int, losses: Mapping[str, float]) -> None:
        self._done = step
        if step % self._every and step != self._steps:
            return
        for name, value in losses.items():
            self._ctx.metric(name, value, unit="nats", step=step)
        note = ", ".join(f"{name} {value:.2f}" for name, value in losses.items())
        self._ctx.progress(step, self._steps, f"{note}, {self.tokens_per_s() / 1000:.1f}k tok/s")

    def checkpoint(self, step: int, network: nn.Module, phases: Sequence[Phase]) -> None:
        from tenfold.train import checkpoint

        self._ctx.checkpoint(checkpoint.write(self._ctx.draft("checkpoint"), network, phases), step)

    def tokens_per_s(self) -> float:
        """Since this process began training, so that a resumed run does not claim what another did."""
        num_tokens = (self._done - self._began_at) * self._tokens_per_step
        return num_tokens / max(time.monotonic() - self._began_s, 1e-9)


def _fits(part: int, config: PretrainConfig) -> bool:
    return config.batch % part == 0 and (part == 1 or part * config.context <= _PART_TOKENS)


def _of_shards(shards: Shards, tokenizer: Tokenizer) -> dict[str, TokenStream]:
    if shards.content["tokenizer"] != tokenizer.digest:
        raise InputError(
            "the shards were made with another tokenizer",
            where=shards.name,
            seen=shards.content["tokenizer"][:12],
            hint=f"make them with {tokenizer.name} ({tokenizer.digest[:12]})",
        )
    return {split: shards.tokens(split) for split in SPLITS}


def _special_ids(tokenizer: Tokenizer, vocabulary: Any) -> tuple[int | None, int | None]:
    """The ids that begin and end a text, as tokenizer_config.json names them; None where it does not."""
    ids = []
    for role in ("bos_token", "eos_token"):
        token = tokenizer.special_token(role)
        found = None if token is None else vocabulary.token_to_id(token)
        if token is not None and found is None:
            raise InputError(
                f"the {role} is not in the vocabulary",
                where=f"{tokenizer.name}/tokenizer_config.json",
                seen=token,
                hint="tokenizer.json and tokenizer_config.json do not belong together",
            )
        ids.append(found)
    return ids[0], ids[1]


def _peak_rss_bytes() -> int:
    """Of this process since it started: macOS counts in bytes, Linux in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
