"""Spans of personal data in one text, or in many at once, and texts without them. Knows no kind by name."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenfold.core.pii.finders import EVERY, FINDERS, KINDS
from tenfold.core.pii.numbers import APART, runs

_TOGETHER = 1 << 18
"""Characters searched in one go: enough that a call per pattern costs nothing, little enough to stay in cache."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One find: `text[start:end]` of the searched text."""

    start: int
    end: int
    kind: str
    text: str


def find(text: str, kinds: Iterable[str] | None = None) -> list[Span]:
    """Every span of the wanted kinds (KINDS by default), in order, never overlapping.

    Where two kinds claim the same characters, the one with the stronger check wins (EVERY is that order).
    """
    taken: list[tuple[int, int, str]] = []  # sorted: the neighbours tell whether a place is free
    found = runs(text)
    for kind in _wanted(kinds):
        for start, end in FINDERS[kind](text, found):
            place = bisect_left(taken, (start,))
            if (place == 0 or taken[place - 1][1] <= start) and (
                place == len(taken) or end <= taken[place][0]
            ):
                taken.insert(place, (start, end, kind))
    return [Span(start, end, kind, text[start:end]) for start, end, kind in taken]


def find_many(texts: Sequence[str], kinds: Iterable[str] | None = None) -> list[list[Span]]:
    """`find` of every text, several times faster for short ones: they are searched as one long text."""
    wanted = _wanted(kinds)
    spans: list[list[Span]] = [[] for _ in texts]
    pile: list[int] = []
    size = 0
    for number, text in enumerate(texts):
        if APART in text:  # what keeps texts apart stands in this one
            spans[number] = find(text, wanted)
            continue
        if size + len(text) > _TOGETHER:
            _find_piled(texts, pile, wanted, spans)
            pile, size = [], 0
        pile.append(number)
        size += len(text)
    _find_piled(texts, pile, wanted, spans)
    return spans


def _find_piled(
    texts: Sequence[str], pile: Sequence[int], wanted: tuple[str, ...], spans: list[list[Span]]
) -> None:
    starts: list[int] = []
    at = 0
    for number in pile:
        starts.append(at)
        at += len(texts[number]) + len(APART)
    for span in find(APART.join([texts[number] for number in pile]), wanted):
        place = bisect_right(starts, span.start) - 1
        base = starts[place]
        spans[pile[place]].append(Span(span.start - base, span.end - base, span.kind, span.text))


def redact(text: str, kinds: Iterable[str] | None = None) -> str:
    """`text` with every span replaced by its kind, such as `[EMAIL]`; `find` sees nothing in the result."""
    return redact_counted(text, kinds)[0]


def redact_counted(text: str, kinds: Iterable[str] | None = None) -> tuple[str, Counter[str]]:
    """Like `redact`, with the number of replacements by kind.

    Taking one span out can bring its neighbour into view ("x@a.org5.6.7.8"), so it repeats until nothing
    is left. It ends because every round takes out a digit, an at sign or a dot, and placeholders bring none.
    """
    counts: Counter[str] = Counter()
    wanted = _wanted(kinds)
    while spans := find(text, wanted):
        counts.update(span.kind for span in spans)
        text = replaced(text, spans, [f"[{span.kind.upper()}]" for span in spans])
    return text, counts


def replaced(text: str, spans: Sequence[Span], stand_ins: Sequence[str]) -> str:
    """`text` with each span's characters exchanged. Spans are in order and do not overlap."""
    pieces: list[str] = []
    at = 0
    for span, stand_in in zip(spans, stand_ins, strict=True):
        pieces += (text[at : span.start], stand_in)
        at = span.end
    return "".join(pieces) + text[at:]


def _wanted(kinds: Iterable[str] | None) -> tuple[str, ...]:
    """In the order of their strength. An unknown kind is not looked for."""
    if kinds is None:
        return KINDS
    asked = set(kinds)
    return tuple(kind for kind in EVERY if kind in asked)
