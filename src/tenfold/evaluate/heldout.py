"""Which text a model is measured on: whole held-out documents, up to a number of tokens, always the same.

The order is by a hash of the text, so a cap takes a fair sample and not the first chapters; the same
corpus gives the same documents to every model. Knows tokenizers, not networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.core.asset import Corpus
from tenfold.errors import InputError

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document as a model sees it."""

    id: str
    text: str
    tokens: list[int]
    num_bytes: int
    """Of the text in UTF-8."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is measured, out of what there is."""

    documents: list[Encoded]
    num_available: int

    @property
    def num_tokens(self) -> int:
        return sum(len(document.tokens) for document in self.documents)

    @property
    def num_bytes(self) -> int:
        return sum(document.num_bytes for document in self.documents)


def sample(
    corpus: Corpus, tokenizer: tokenizers.Tokenizer, *, max_tokens: int, split: str = "heldout"
) -> Sample:
    """Documents of `split` until the next would exceed `max_tokens`; at least one, cut if it must be.

    Raises InputError when the split has no text.
    """
    texts = [document for document in corpus.documents(split) if document.text]
    if not texts:
        raise InputError(
            f"the corpus has no {split} text to measure on",
            where=f"{corpus.name}/{Corpus.FILE}",
            hint="raise heldout_share in data.curate, or collect more documents",
        )
    texts.sort(key=lambda document: hashlib.sha256(document.text.encode()).digest())
    chosen: list[Encoded] = []
    room = max_tokens
    for first in range(0, len(texts), 64):  # in parts: most of a large split is never looked at
        part = texts[first : first + 64]
        encodings = tokenizer.encode_batch(
            [document.text for document in part], add_special_tokens=False
        )
        for document, encoding in zip(part, encodings, strict=True):
            text, tokens = document.text, list(encoding.ids)
            if len(tokens) > room:
                if chosen:
                    return Sample(chosen, len(texts))
                text = text[: encoding.offsets[room - 1][1]]
                tokens = list(tokenizer.encode(text, add_special_tokens=False).ids)
            if tokens:
                chosen.append(Encoded(document.id, text, tokens, len(text.encode())))
                room -= len(tokens)
    if not chosen:
        raise InputError(
            f"the tokenizer makes no token of the {split} text",
            where=f"{corpus.name}/{Corpus.FILE}",
            hint="was the tokenizer trained on another language?",
        )
    return Sample(chosen, len(texts))


def training_tokens(
    corpus: Corpus, tokenizer: tokenizers.Tokenizer, *, max_tokens: int
) -> Sequence[Sequence[int]]:
    """Training documents as tokens, in corpus order, until `max_tokens` is reached."""
    texts: list[Sequence[int]] = []
    num_tokens = 0
    batch: list[str] = []
    for document in corpus.documents("train"):
        batch.append(document.text)
        if len(batch) == 512:
            num_tokens += _extend(texts, tokenizer, batch)
            batch = []
            if num_tokens >= max_tokens:
                return texts
    _extend(texts, tokenizer, batch)
    return texts


def _extend(texts: list[Sequence[int]], tokenizer: tokenizers.Tokenizer, batch: list[str]) -> int:
    encodings = tokenizer.encode_batch(batch, add_special_tokens=False)
    texts.extend(encoding.ids for encoding in encodings)
    return sum(len(encoding.ids) for encoding in encodings)
