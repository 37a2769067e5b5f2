"""Which documents say what another already says: exactly, as a part of it, or nearly.

The keep rule is explicit, never "first seen": the longer text stays, then the alphabetically smaller
source, then the smaller id. Documents are visited in that order, so a removed one always has a kept
twin, and no removed one justifies removing another. Knows texts, not why they are wanted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tenfold.core.asset import Document
from tenfold.data import minhash

_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Twin:
    """A document that goes, and the one that stays in its place (empty: several together)."""

    id: str
    cause: str
    """`duplicate`, `contained` or `near_duplicate`."""
    kept: str
    similarity: float
    """1 for duplicates; the share of contained words; the Jaccard similarity of 5-word shingles."""


def keep_order(documents: Sequence[Document]) -> list[Document]:
    return sorted(documents, key=lambda each: (-len(each.text), each.source, each.id))


def exact(documents: Sequence[Document]) -> Iterator[Twin]:
    """Texts that are equal but for case and blank space."""
    kept: dict[bytes, str] = {}
    for document in keep_order(documents):
        name = _fold(document.text)
        if name in kept:
            yield Twin(document.id, "duplicate", kept[name], 1.0)
        else:
            kept[name] = document.id


def contained(documents: Sequence[Document], *, passage_words: int, share: float) -> Iterator[Twin]:
    """Documents of which at least `share` of the words stand in paragraphs that kept documents have.

    Shingle similarity cannot see a short text inside a long one. A passage is a paragraph of at least
    `passage_words` words, compared without case and blank space (after the repeated-span rule of C4,
    Raffel et al. 2020, section 2.2, but removing whole documents so that none is left with holes).
    """
    owner: dict[bytes, str] = {}
    for document in keep_order(documents):
        passages, num_words = [], 0
        for paragraph in document.text.split("\n\n"):
            length = len(paragraph.split())
            num_words += length
            if length >= passage_words:
                passages.append((_fold(paragraph), length))
        covered = [(name, length) for name, length in passages if name in owner]
        covered_words = sum(length for _, length in covered)
        if covered and covered_words >= share * num_words:
            owners = {owner[name] for name, _ in covered}
            kept = owners.pop() if len(owners) == 1 else ""
            yield Twin(document.id, "contained", kept, covered_words / num_words)
            continue
        for name, _ in passages:
            owner.setdefault(name, document.id)


def near(
    documents: Sequence[Document],
    *,
    threshold: float,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Twin]:
    """Documents whose exact Jaccard similarity to a kept one reaches `threshold`; MinHash finds the pairs."""
    ordered = keep_order(documents)
    shingler = minhash.Shingler()
    sets = [shingler.shingles(document.text) for document in ordered]
    if not sets:
        return
    signatures = minhash.signatures(sets)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    for index, document in enumerate(ordered):
        names = minhash.bands(signatures[index])
        candidates = sorted({other for name in names for other in buckets.get(name, ())})
        best, similarity = -1, 0.0
        for other in candidates:
            alike = minhash.jaccard(sets[index], sets[other])
            if alike > similarity:
                best, similarity = other, alike
        if similarity >= threshold:
            yield Twin(document.id, "near_duplicate", ordered[best].id, similarity)
            continue
        for name in names:
            buckets.setdefault(name, []).append(index)
        if progress is not None and index % 1000 == 0:
            progress(index, len(ordered))


def _fold(text: str) -> bytes:
    return hashlib.blake2b(_BLANK.sub(" ", text).strip().lower().encode(), digest_size=16).digest()
