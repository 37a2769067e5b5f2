"""Synthetic request streams over a corpus, with a stated popularity law.

What users would ask a model about its corpus: questions about named documents, openings to continue. Says
how often prompts repeat because it was told so (Zipf's law): a stand-in until there is a log of real
traffic, and named as one. Knows nothing about gateways.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.asset import Corpus, Document, Draft, Table
from tenfold.core.step import Context, step
from tenfold.errors import ConfigError, InputError
from tenfold.plan.popularity import Zipf, reuse_bound
from tenfold.plan.trace import SCHEMA, TraceRequest


@dataclass(frozen=True, kw_only=True)
class WorkloadConfig:
    """The stream's shape."""

    requests: int = 300
    """How many requests, 1 or more."""
    distinct: int = 120
    """Size of the catalogue of prompts, 1 or more; less when the corpus yields fewer."""
    zipf_s: float = 0.83
    """Zipf exponent of the popularity law, 0 to 10. 0.83 was fitted to a public log of product pages;
    conversation logs repeat far less."""
    max_tokens: int = 24
    """Length of an answer, tokens, 1 or more."""
    stream_share: float = 0.25
    """Share of requests that ask for a stream, 0 to 1."""
    rate_per_s: float = 0.0
    """Poisson arrivals per second for an open loop; 0: all at once, for a closed loop."""
    split: str = "heldout"
    """Documents the prompts come from: `heldout`, `train` or `any`."""

    def __post_init__(self) -> None:
        for name in ("requests", "distinct", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", seen=getattr(self, name))
        if not 0.0 <= self.zipf_s <= 10.0:
            raise ConfigError("zipf_s must lie between 0 and 10", seen=self.zipf_s)
        if not 0.0 <= self.stream_share <= 1.0:
            raise ConfigError("stream_share must lie between 0 and 1", seen=self.stream_share)
        if not 0.0 <= self.rate_per_s < 1e6:
            raise ConfigError("rate_per_s must lie between 0 and 1e6", seen=self.rate_per_s)
        if self.split not in ("heldout", "train", "any"):
            raise ConfigError("split must be heldout, train or any", seen=self.split)


@dataclass(frozen=True, slots=True)
class Prompt:
    text: str
    intent: str


@step(version="1", name="plan.workload", produces=Table)
def workload(corpus: Corpus, ctx: Context, config: WorkloadConfig) -> Draft:
    """A request stream over the corpus as a table; its law and its bounds are in the meta."""
    prompts = catalogue(corpus, config, ctx.seed)
    requests = synthesise(prompts, config, ctx.seed)
    draft = Table.write(
        (request.to_row() for request in requests), schema=SCHEMA, draft=ctx.draft(Table.kind)
    )
    draft.meta.update(describe(config, prompts, requests))
    return draft


def catalogue(corpus: Corpus, config: WorkloadConfig, seed: int) -> list[Prompt]:
    """Up to `config.distinct` different prompts, the most popular first.

    Falls back from the held-out split to the whole corpus when that yields too few. Raises InputError
    when no document holds a word.
    """
    splits = [config.split if config.split != "any" else None]
    if config.split == "heldout":
        splits.append(None)
    found: dict[str, Prompt] = {}
    for split in splits:
        documents = sorted(corpus.documents(split), key=lambda document: document.id)
        random.Random(f"catalogue:{seed}").shuffle(documents)
        for turn in (0, 1):  # every document is first asked about or continued, then the other way
            for number, document in enumerate(documents):
                if len(found) >= config.distinct:
                    return list(found.values())
                prompt = (ask_about, continue_from)[(number + turn) % 2](document)
                if prompt is not None:
                    found.setdefault(prompt.text, prompt)
    if not found:
        raise InputError(
            "no document of the corpus gives a prompt",
            where=corpus.name,
            seen=corpus.meta.get("documents"),
            hint="a prompt needs a named source or a few words of text",
        )
    return list(found.values())


def ask_about(document: Document) -> Prompt | None:
    """A question about what the document is named after: `What does json.loads do?`.

    The name is its title, or the signature it begins with, or the end of its source. Private names are
    nobody's question.
    """
    title = document.meta.get("title") or document.meta.get("name")
    name = str(title) if title else _signed(document.text) or _sourced(document.source)
    if name is None or any(part.startswith("_") for part in name.split(".")):
        return None
    if re.fullmatch(r"[A-Za-z]\w*(\.\w+)+", name):
        return Prompt(f"What does {name} do?", f"about:{name}")
    return Prompt(f"Tell me about {name}.", f"about:{name}")


def continue_from(document: Document, num_words: int = 8) -> Prompt | None:
    """The first words of a document, to be gone on with."""
    words = document.text.split(maxsplit=num_words)[:num_words]
    return Prompt(" ".join(words), f"continue:{document.id}") if len(words) >= 3 else None


def _signed(text: str) -> str | None:
    """`json.loads` from a text that begins with `json.loads(s, *, cls=None, ...)`."""
    match = re.match(r"([A-Za-z_]\w*(?:\.\w+)+)\(", text)
    return match[1] if match else None


def _sourced(source: str) -> str | None:
    """The end of sources such as `python:json.loads`, `python:3.11/topics/assert`, `lib/abc.py#ABC`."""
    last = re.split(r"[/:#]", source.strip())[-1]
    return last if re.fullmatch(r"[A-Za-z_][\w.-]*", last) else None


def synthesise(prompts: Sequence[Prompt], config: WorkloadConfig, seed: int) -> list[TraceRequest]:
    """The stream: ranks drawn by Zipf's law, gaps exponential when there is a rate."""
    draws = random.Random(f"workload:{seed}")
    ranks = Zipf(len(prompts), config.zipf_s).sample(draws, config.requests)
    at_s, stream = 0.0, []
    for rank in ranks:
        if config.rate_per_s > 0:
            at_s += draws.expovariate(config.rate_per_s)
        stream.append(
            TraceRequest(
                at_s=at_s,
                prompt=prompts[rank].text,
                max_tokens=config.max_tokens,
                stream=draws.random() < config.stream_share,
                intent=prompts[rank].intent,
            )
        )
    return stream


def describe(
    config: WorkloadConfig, prompts: Sequence[Prompt], requests: Sequence[TraceRequest]
) -> dict[str, Any]:
    """The law, what it was applied to, and the bounds it sets. A bound is not a hit rate."""
    law = Zipf(len(prompts), config.zipf_s)
    return {
        "law": f"Zipf, exponent {config.zipf_s:g} over {len(prompts)} prompts (synthetic)",
        "arrivals": f"Poisson, {config.rate_per_s:g} per s" if config.rate_per_s else "closed loop",
        "requests": len(requests),
        "distinct": len({request.prompt for request in requests}),
        "intents": len({request.intent for request in requests}),
        "expected_distinct": round(law.expected_distinct(len(requests)), 3),
        "expected_exact_bound": round(law.expected_reuse_bound(len(requests)), 6),
        "exact_bound": round(reuse_bound(request.prompt for request in requests), 6),
        "max_tokens": config.max_tokens,
        "streams": sum(request.stream for request in requests),
    }
