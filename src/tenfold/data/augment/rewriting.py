"""Texts rewritten back and forth by a model, and a judge that refuses what lost the meaning or changed nothing.

A text goes into another form (a language, a style) and from there back; what comes back says the same in other
words (Sennrich, Haddow and Birch 2016, for translation). The model is whatever answers: a gateway in a
factory, a function in a test. Knows how to ask a gateway over HTTP, not how one is started.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from tenfold.core.ports import GatewayHandle
from tenfold.data import record
from tenfold.data.augment.offspring import Child, offspring, parents, seed_of
from tenfold.errors import BackendError, ConfigError

Writer = Callable[[str, int], str]
"""(prompt, seed) -> answer."""


@dataclass(frozen=True, slots=True)
class GatewayWriter:
    """Asks the model behind a gateway; its answers are cached, metered and on the ledger as everyone's."""

    handle: GatewayHandle
    max_tokens: int = 1024
    temperature: float = 0.7
    timeout_s: float = 120.0

    def __call__(self, prompt: str, seed: int) -> str:
        """Raises BackendError."""
        body = {
            "model": self.handle.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": seed & 0x7FFFFFFF,  # what every engine takes
        }
        request = urllib.request.Request(
            f"{self.handle.url}/v1/chat/completions",
            json.dumps(body).encode(),
            {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.handle.api_key}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                content = json.load(answer)["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            error.close()  # it is the answer, with a socket of its own
            raise BackendError(
                "the gateway refused to rewrite", where=self.handle.url, seen=error.code
            ) from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise BackendError(
                f"the gateway gave no answer: {error}", where=self.handle.url
            ) from None
        return str(content or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteConfig:
    """Which way and back, and what is accepted."""

    name: ClassVar[str] = "text.rewrite"
    version: ClassVar[str] = "1"

    forth: str = "Translate into German. Answer with the translation only.\n\n{text}"
    back: str = "Translate into English. Answer with the translation only.\n\n{text}"
    """Prompts; `{text}` is what is to be rewritten."""
    least: float = 0.3
    """Similarity to the parent below which the meaning counts as lost, 0 to 1."""
    most: float = 0.95
    """Similarity above which nothing was changed, 0 to 1."""
    longest: float = 2.0
    """Length over the parent's beyond which the model rambled; its inverse is the least length. 1 or more."""
    copies: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("forth", "back"):
            if "{text}" not in getattr(self, name):
                raise ConfigError(f"{name} must contain {{text}}", seen=getattr(self, name))
        if not 0 <= self.least <= self.most <= 1:
            raise ConfigError(
                "least and most must be between 0 and 1, in this order",
                seen=(self.least, self.most),
            )
        if self.longest < 1:
            raise ConfigError("longest must be 1 or more", seen=self.longest)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What came of a batch."""

    children: pa.RecordBatch
    refused: Counter[str] = field(default_factory=Counter)
    """Cause -> texts: `unchanged`, `meaning`, `length`, `empty`, `copy` (of another child or the parent)."""


def similarity(a: str, b: str) -> float:
    """Cosine of the counts of sequences of 3 to 5 letters, 0 to 1: what needs no trained encoder."""
    left, right = _sequences(a), _sequences(b)
    norm = sum(n * n for n in left.values()) * sum(n * n for n in right.values())
    return float(sum(n * right[key] for key, n in left.items()) / norm**0.5) if norm else 0.0


def _sequences(text: str) -> Counter[str]:
    words = f" {' '.join(text.lower().split())} "
    return Counter(words[at : at + n] for n in (3, 4, 5) for at in range(len(words) - n + 1))


def fault(
    text: str, made: str, config: RewriteConfig, judge: Callable[[str, str], float] = similarity
) -> str | None:
    """Why a rewriting is refused, None where it is accepted."""
    if not made.strip():
        return "empty"
    if not 1 / config.longest <= len(made) / max(len(text), 1) <= config.longest:
        return "length"
    alike = judge(text, made)
    if alike > config.most:
        return "unchanged"
    return "meaning" if alike < config.least else None


def rewritten(
    batch: pa.RecordBatch,
    write: Writer,
    config: RewriteConfig,
    judge: Callable[[str, str], float] = similarity,
) -> Rewritten:
    """The accepted rewritings of every text that may have children, and why others were refused."""
    ids, payloads = batch.column(record.ID).to_pylist(), batch.column(record.TEXT)
    children, refused = [], Counter[str]()
    for row in parents(batch):
        text = payloads[row].as_py() or ""
        for copy in range(config.copies if text.strip() else 0):
            seed = seed_of(config.seed, ids[row], config.name, copy)
            between = write(config.forth.replace("{text}", text), seed)
            made = write(config.back.replace("{text}", between), seed).strip() if between else ""
            cause = fault(text, made, config, judge)
            if cause:
                refused[cause] += 1
            else:
                children.append(Child(row, made, f"{config.name}/{config.version}", seed))
    made_of = offspring(batch, children, record.TEXT)
    if made_of.num_rows < len(children):
        refused["copy"] += len(children) - made_of.num_rows
    return Rewritten(made_of, refused)
