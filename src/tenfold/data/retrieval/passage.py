"""The part of a text that answers a question best: what a model is given to read, and cites. Knows no index."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tenfold.data.retrieval.words import number, words

_PARAGRAPH = re.compile(r"\S(?:.*\S)?(?:\n[^\S\n]*\S.*)*")
"""Lines without an empty one between them."""


def passage(text: str, weights: Mapping[int, float], characters: int) -> tuple[int, int]:
    """Start and end of at most `characters` of the text: the run of paragraphs with most of what was asked.

    `weights`: word number -> what one more of the asked words is worth; each counts once.
    """
    pieces = [(found.start(), found.end()) for found in _PARAGRAPH.finditer(text)]
    if not pieces:
        return 0, 0
    has = [
        {name for word in words(text[start:end]) if (name := number(word)) in weights}
        for start, end in pieces
    ]
    best, where = -1.0, pieces[0]
    for first, (start, end) in enumerate(pieces):
        last, seen = first, set(has[first])
        while last + 1 < len(pieces) and pieces[last + 1][1] - start <= characters:
            last += 1
            seen |= has[last]
            end = pieces[last][1]
        worth = sum(weights[name] for name in seen)
        if worth > best:
            best, where = worth, (start, end)
    return where[0], min(where[1], where[0] + characters)
