"""Which documents are never trained on, so that an evaluation says something.

A document's own hash decides, so it stays on its side when others come and go. A drawn document that
shares passages with the rest goes back to training: it would be remembered, not predicted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from tenfold.core.asset import Document

OVERLAP_WORDS = 13
"""Length of the word sequences that count as shared (Brown et al. 2020, appendix C)."""

_WORD = re.compile(r"\w+")


def held_out(
    documents: Sequence[Document], *, share: float, max_overlap: float
) -> tuple[set[str], int]:
    """Ids of the held-out documents, and how many were drawn but sent back for overlap.

    About `share` of the documents are drawn. One stays out if at most `max_overlap` of its 13-word
    sequences occur in any other document. If the draw is empty, the document nearest to being drawn is
    taken, as long as another remains to train on.
    """
    if share <= 0 or len(documents) < 2:
        return set(), 0
    limit = int(share * 2**64)
    drawn = [document for document in documents if _draw(document) < limit]
    if len(drawn) == len(documents):
        drawn = sorted(drawn, key=_draw)[:-1]
    owners: dict[
        tuple[str, ...], int
    ] = {}  # sequence -> index of its only document, or -1 for several
    for index, document in enumerate(drawn):
        for sequence in _sequences(document.text):
            owners[sequence] = index if owners.get(sequence, index) == index else -1
    inside = {document.id for document in drawn}
    for document in documents:
        if document.id not in inside:
            for sequence in _sequences(document.text):
                if sequence in owners:
                    owners[sequence] = -1
    chosen = set()
    for document in drawn:
        sequences = set(_sequences(document.text))
        shared = sum(1 for sequence in sequences if owners[sequence] == -1)
        if shared <= max_overlap * len(sequences):
            chosen.add(document.id)
    sent_back = len(drawn) - len(chosen)
    return chosen or {min(documents, key=_draw).id}, sent_back


def _draw(document: Document) -> int:
    """The text alone decides: the same text under another name is on the same side."""
    return int.from_bytes(hashlib.sha256(document.text.encode()).digest()[:8], "big")


def _sequences(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    for start in range(len(words) - OVERLAP_WORDS + 1):
        yield tuple(words[start : start + OVERLAP_WORDS])
