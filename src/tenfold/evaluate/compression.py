"""`evaluate.compression`: what a smaller model costs in quality and brings in bytes, memory and speed.

Both models predict the same held-out text and continue the same prompts; the two take turns so that a
busy machine disturbs both alike. Quality and size go into the report; timings, which no two runs share,
are metrics only. Ratios are always after / before. Speed here is that of our network in this process;
the rehearsal measures it behind the gateway.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.asset import Corpus, Draft, Model, Report
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.evaluate.heldout import Sample, sample
from tenfold.evaluate.interval import ratio_of_sums
from tenfold.evaluate.resident import resident_bytes
from tenfold.evaluate.scoring import losses
from tenfold.evaluate.subject import Subject, continuation, load
from tenfold.need import need


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """How much is compared."""

    max_tokens: int = 12_000
    """Held-out tokens both models score, 1 or more."""
    prompts: int = 8
    """Prompts both models continue greedily, 0 or more."""
    prompt_tokens: int = 32
    """Tokens of a prompt, 1 or more; at most half the context is used."""
    new_tokens: int = 32
    """Tokens to continue with, 1 or more; at most half the context is used."""
    rounds: int = 3
    """Alternating rounds of timing, 0 or more; the median counts. 0: no speed is measured."""

    def __post_init__(self) -> None:
        for name in ("max_tokens", "prompt_tokens", "new_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", seen=getattr(self, name))
        if self.prompts < 0 or self.rounds < 0:
            raise ConfigError("prompts and rounds must be 0 or more")


@step(version="1", name="evaluate.compression", produces=Report, resources=Resources(cpu=2))
def compression(
    before: Model, after: Model, corpus: Corpus, ctx: Context, *, config: CompressionConfig
) -> Draft:
    """Bytes, memory, speed and quality of two models on the same text. Ratios are after / before."""
    need("torch", extra="train", why="to run a model")  # not part of what a model takes
    subjects: list[Subject] = []
    for name, asset in (("before", before), ("after", after)):
        held = resident_bytes()
        subjects.append(load(asset, ctx.cpu))
        holding = resident_bytes()
        if held is not None and holding is not None:
            ctx.metric(f"load_bytes_{name}", max(0, holding - held), unit="bytes")
    _same_language(before, after, *subjects)
    measured = sample(corpus, subjects[0].tokenizer, max_tokens=config.max_tokens)
    context = min(subject.context for subject in subjects)
    texts = [document.tokens for document in measured.documents]

    nats: list[list[float]] = []
    for place, subject in enumerate(subjects):
        ctx.progress(1 + place, 4, "scoring")
        scored = losses(
            subject.network,
            texts,
            start=subject.start,
            context=context,
            stride=max(1, context // 2),
        )
        nats.append([float(each.sum()) for each in scored])

    ctx.progress(3, 4, "continuing and timing")
    prompts = _prompts(measured, config, context)
    agreement = _agreement(subjects, prompts, config, context)
    speeds = _speeds(subjects, texts, prompts, config, context)

    content: dict[str, Any] = {
        "measured": {
            "split": "heldout",
            "documents": len(measured.documents),
            "documents_available": measured.num_available,
            "tokens": measured.num_tokens,
            "bytes": measured.num_bytes,
            "prompts": len(prompts),
        },
        "before": _describe(before, nats[0], measured),
        "after": _describe(after, nats[1], measured),
        "bytes_ratio": _short(after.num_bytes / before.num_bytes),
        "perplexity_ratio": _perplexity_ratio(nats, measured, ctx.seed),
        "greedy_agreement": agreement,
        "method": {
            "ratios": "after / before",
            "interval": "95 % percentile bootstrap over documents, 1000 rounds",
            "greedy_agreement": "share of continuations' tokens that are equal up to the first difference",
        },
    }
    draft = ctx.draft(Report.kind)
    draft.write_json(Report.FILE, content)

    ctx.metric("tokens", measured.num_tokens, unit="tokens")
    for name in ("before", "after"):
        ctx.metric(f"bytes_{name}", content[name]["bytes"], unit="bytes")
        ctx.metric(f"perplexity_{name}", content[name]["perplexity"], unit="per token")
        ctx.metric(f"bits_per_byte_{name}", content[name]["bits_per_byte"], unit="bits/byte")
    ctx.metric("bytes_ratio", content["bytes_ratio"], unit="×")
    for edge, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
        ctx.metric(f"perplexity_ratio{suffix}", content["perplexity_ratio"][edge], unit="×")
    if agreement is not None:
        ctx.metric("greedy_agreement", agreement, unit="share")
    for name, (was, now) in speeds.items():
        ctx.metric(f"{name}_before", was, unit="tokens/s")
        ctx.metric(f"{name}_after", now, unit="tokens/s")
        # generating is what users wait for: its ratio is the one called speed
        ratio = "speed_ratio" if name == "decode_tokens_per_s" else "speed_ratio.prefill"
        ctx.metric(ratio, now / was, unit="×")
    return draft


def _same_language(before: Model, after: Model, old: Subject, new: Subject) -> None:
    """Token by token comparison needs one vocabulary."""
    if old.tokenizer.get_vocab() != new.tokenizer.get_vocab() or old.start != new.start:
        raise InputError(
            "the two models do not share a vocabulary, so their perplexities cannot be divided",
            where=f"{before.name} and {after.name}",
            seen=[old.tokenizer.get_vocab_size(), new.tokenizer.get_vocab_size()],
            hint="compare a model with what was made from it, or compare bits_per_byte of two "
            "evaluate.language reports",
        )


def _describe(asset: Model, nats: Sequence[float], measured: Sample) -> dict[str, Any]:
    weights = sum(r.num_bytes for n, r in asset.files.items() if n.endswith(".safetensors"))
    return {
        "digest": asset.digest,
        "bytes": asset.num_bytes,
        "weight_bytes": weights,
        "dtype": asset.meta.get("dtype"),
        "parameters": asset.meta.get("parameters"),
        "perplexity": _short(math.exp(sum(nats) / measured.num_tokens)),
        "bits_per_byte": _short(sum(nats) / math.log(2) / measured.num_bytes),
    }


def _perplexity_ratio(
    nats: Sequence[Sequence[float]], measured: Sample, seed: int
) -> dict[str, float]:
    """Paired: the same documents are drawn for both, so their difficulty cancels."""
    worse = ratio_of_sums(
        [now - was for was, now in zip(*nats, strict=True)],
        [len(document.tokens) for document in measured.documents],
        seed=seed,
    )
    return {name: _short(math.exp(getattr(worse, name))) for name in ("value", "low", "high")}


def _prompts(measured: Sample, config: CompressionConfig, context: int) -> list[list[int]]:
    length = min(config.prompt_tokens, max(1, context // 2))
    long_enough = [d.tokens[:length] for d in measured.documents if len(d.tokens) >= length]
    return (long_enough or [d.tokens[:length] for d in measured.documents])[: config.prompts]


def _agreement(
    subjects: Sequence[Subject],
    prompts: Sequence[Sequence[int]],
    config: CompressionConfig,
    context: int,
) -> float | None:
    """Share of the first model's greedy tokens that the second makes too, up to the first difference."""
    same = total = 0
    new_tokens = min(config.new_tokens, max(1, context // 2 - 1))
    for prompt in prompts:
        was, now = (continuation(subject, prompt, new_tokens) for subject in subjects)
        total += max(len(was), len(now))
        for one, other in zip(was, now, strict=False):
            if one != other:
                break
            same += 1
    return _short(same / total) if total else None


def _speeds(
    subjects: Sequence[Subject],
    texts: Sequence[Sequence[int]],
    prompts: Sequence[Sequence[int]],
    config: CompressionConfig,
    context: int,
) -> dict[str, tuple[float, float]]:
    """Tokens per second (before, after) reading a full context and writing one sequence; medians."""
    if not config.rounds or not prompts:
        return {}
    flat = [token for text in texts for token in text]
    window = (flat * (context // len(flat) + 1))[: context - 1]
    num_new = min(config.new_tokens, max(1, context // 2 - 1))
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(config.rounds + 1):  # the first turn warms up and does not count
        for place, subject in enumerate(subjects):
            for name, count in (("prefill", len(window)), ("decode", num_new)):
                seconds = _time(subject, name, window, prompts[turn % len(prompts)], num_new)
                if turn:
                    taken.setdefault((name, place), []).append(count / seconds)
    return {
        f"{name}_tokens_per_s": (
            statistics.median(taken[name, 0]),
            statistics.median(taken[name, 1]),
        )
        for name in ("prefill", "decode")
    }


def _time(
    subject: Subject, what: str, window: Sequence[int], prompt: Sequence[int], num_new: int
) -> float:
    """Seconds for one reading of `window`, or for writing `num_new` tokens, whatever they are."""
    from tenfold.models.cache import KVCache

    cache = KVCache(subject.network.config, slots=1, context=subject.context)
    network = subject.network
    if what == "prefill":
        began_s = time.perf_counter()
        network.prefill(cache, [0], [window])
        return time.perf_counter() - began_s
    logits = network.prefill(cache, [0], [[subject.start, *prompt]])
    began_s = time.perf_counter()
    for _ in range(num_new):
        logits = network.decode(cache, [0], [int(logits[0].argmax())])
    return time.perf_counter() - began_s


def _short(value: float) -> float:
    """Five digits: the last bits of a sum depend on how many threads shared it, and reports must not."""
    return float(f"{value:.5g}")
