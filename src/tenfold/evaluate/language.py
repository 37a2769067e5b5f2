"""`evaluate.language`: how well a language model predicts text it has never seen.

Perplexity is per token of this model's own tokenizer; bits per byte compares models whatever their
tokenizers. Beside them stand a unigram and a Kneser-Ney n-gram model on the same tokens, learnt from the
training part: a network that does not beat those has learnt nothing worth its joules.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from tenfold.core.asset import Corpus, Draft, Model, Report
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError
from tenfold.evaluate.heldout import Sample, sample, training_tokens
from tenfold.evaluate.interval import Interval, ratio_of_sums
from tenfold.evaluate.ngram import KneserNey, Unigram, max_order
from tenfold.evaluate.scoring import losses
from tenfold.evaluate.subject import Subject, continuation, load


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageConfig:
    """How much is measured, and against what."""

    max_tokens: int = 40_000
    """Held-out tokens to score, 1 or more. The report says how many there were."""
    stride: int = 0
    """Tokens a window moves on in a text longer than the context, 1 to the context; 0: half of it."""
    ngram_order: int = 5
    """Tokens in the longest n-gram, 1 to 8; less where the vocabulary is too large for 64 bits."""
    ngram_tokens: int = 2_000_000
    """Training tokens the n-gram models learn from, 1 or more: the first of the corpus."""
    samples: int = 3
    """Continuations shown in the report, 0 or more."""
    sample_tokens: int = 40
    """Tokens of each continuation, 1 or more."""

    def __post_init__(self) -> None:
        for name in ("max_tokens", "ngram_order", "ngram_tokens", "sample_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", seen=getattr(self, name))
        if self.ngram_order > 8:
            raise ConfigError("ngram_order must be 8 or less", seen=self.ngram_order)
        if self.stride < 0 or self.samples < 0:
            raise ConfigError("stride and samples must be 0 or more")


@step(version="1", name="evaluate.language", produces=Report, resources=Resources(cpu=2))
def language(base: Model, corpus: Corpus, ctx: Context, *, config: LanguageConfig) -> Draft:
    """Perplexity and bits per byte on held-out documents, with 95 % intervals and yardsticks."""
    subject = load(base, ctx.cpu)
    measured = sample(corpus, subject.tokenizer, max_tokens=config.max_tokens)
    ctx.progress(1, 4, "scoring")
    began_s = time.perf_counter()
    nats = _nats(subject, measured, config)
    ctx.metric(
        "tokens_per_s", measured.num_tokens / (time.perf_counter() - began_s), unit="tokens/s"
    )

    ctx.progress(2, 4, "n-grams")
    known = training_tokens(corpus, subject.tokenizer, max_tokens=config.ngram_tokens)
    order = min(config.ngram_order, max_order(subject.vocabulary))
    texts = [document.tokens for document in measured.documents]
    yardsticks: dict[str, list[float]] = {}
    if known:  # a corpus without a training part still has a perplexity
        unigram = Unigram(known, subject.vocabulary, subject.start)
        ngram = KneserNey(known, subject.vocabulary, order=order, end=subject.start)
        yardsticks["unigram"] = [-float(unigram.log_probabilities(text).sum()) for text in texts]
        yardsticks["ngram"] = [-float(ngram.log_probabilities(text).sum()) for text in texts]

    ctx.progress(3, 4, "continuations")
    figures = {
        name: _figures(values, measured, ctx.seed)
        for name, values in {"model": nats, **yardsticks}.items()
    }
    content: dict[str, Any] = {
        "measured": {
            "split": "heldout",
            "documents": len(measured.documents),
            "documents_available": measured.num_available,
            "tokens": measured.num_tokens,
            "bytes": measured.num_bytes,
            "max_tokens": config.max_tokens,
            # A tokenizer that drops characters predicts less text than the bytes it is divided by.
            "documents_not_restored": _not_restored(subject, measured),
        },
        **figures,
        "yardsticks": {
            "order": order,
            "train_documents": len(known),
            "train_tokens": sum(map(len, known)),
            "max_tokens": config.ngram_tokens,
        },
        "method": {
            "context_tokens": subject.context,
            "stride_tokens": config.stride or max(1, subject.context // 2),
            "interval": "95 % percentile bootstrap over documents, 1000 rounds",
            "ngram": "interpolated modified Kneser-Ney on the model's tokens (Chen & Goodman 1999)",
            "unigram": "add-one",
        },
        "samples": _samples(subject, measured, config),
    }
    if "ngram" in yardsticks:
        gain = ratio_of_sums(
            [(n - m) / math.log(2) for n, m in zip(yardsticks["ngram"], nats, strict=True)],
            [document.num_bytes for document in measured.documents],
            seed=ctx.seed,
        )
        content["bits_per_byte_gained_over_ngram"] = _plain(gain)
    draft = ctx.draft(Report.kind)
    draft.write_json(Report.FILE, content)

    ctx.metric("documents", len(measured.documents), unit="documents")
    ctx.metric("tokens", measured.num_tokens, unit="tokens")
    for name, each in figures.items():
        suffix = "" if name == "model" else f".{name}"
        ctx.metric(f"perplexity{suffix}", each["perplexity"]["value"], unit="per token")
        ctx.metric(f"bits_per_byte{suffix}", each["bits_per_byte"]["value"], unit="bits/byte")
    for edge in ("low", "high"):
        ctx.metric(
            f"bits_per_byte.{edge}", figures["model"]["bits_per_byte"][edge], unit="bits/byte"
        )
    return draft


def _nats(subject: Subject, measured: Sample, config: LanguageConfig) -> list[float]:
    per_token = losses(
        subject.network,
        [document.tokens for document in measured.documents],
        start=subject.start,
        context=subject.context,
        stride=config.stride or max(1, subject.context // 2),
    )
    return [float(each.sum()) for each in per_token]


def _not_restored(subject: Subject, measured: Sample) -> int:
    """Documents that their tokens do not spell: 0 for a byte-level tokenizer."""
    spelt = subject.tokenizer.decode_batch([d.tokens for d in measured.documents])
    return sum(
        text != document.text for text, document in zip(spelt, measured.documents, strict=True)
    )


def _figures(nats: list[float], measured: Sample, seed: int) -> dict[str, Any]:
    """Perplexity and bits per byte from the nats of each document."""
    tokens = [len(document.tokens) for document in measured.documents]
    num_bytes = [document.num_bytes for document in measured.documents]
    per_token = ratio_of_sums(nats, tokens, seed=seed)
    bits = ratio_of_sums([each / math.log(2) for each in nats], num_bytes, seed=seed)
    perplexity = Interval(*(math.exp(x) for x in (per_token.value, per_token.low, per_token.high)))
    return {"perplexity": _plain(perplexity), "bits_per_byte": _plain(bits)}


def _plain(interval: Interval) -> dict[str, float]:
    """Five digits: the last bits of a sum depend on how many threads shared it, and reports must not."""
    return {name: float(f"{getattr(interval, name):.5g}") for name in ("value", "low", "high")}


def _samples(subject: Subject, measured: Sample, config: LanguageConfig) -> list[dict[str, str]]:
    shown: list[dict[str, str]] = []
    num_tokens = min(config.sample_tokens, max(1, subject.context // 2))
    for document in measured.documents:
        if len(shown) == config.samples:
            break
        if len(document.tokens) < 2 * num_tokens:
            continue  # half a document as prompt, the other half to compare with
        prompt = document.tokens[:num_tokens]
        made = continuation(subject, prompt, num_tokens)
        shown.append(
            {
                "document": document.id,
                "prompt": subject.tokenizer.decode(prompt),
                "continuation": subject.tokenizer.decode(made),
                "original": subject.tokenizer.decode(document.tokens[num_tokens : 2 * num_tokens]),
            }
        )
    return shown
