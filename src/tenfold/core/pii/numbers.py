"""Runs of digits and what people put between them, found in one pass: all numeric kinds start from these.

A pattern that begins with a plain character class is searched at the speed of C; each kind then looks only
into the runs. Knows no kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

APART = "\0"
"""Stands between texts that are searched together; nothing is looked for across it."""
_SHORTEST = 7
"""`1.1.1.1` is the shortest thing anybody looks for."""
_RUN = re.compile(r"[0-9][0-9 .()/\u00a0\u2010\u2011-]{5,}[0-9]")
_AHEAD = 4
"""`(+(0` may stand before the first digit of a run."""
_BEHIND = 24
"""What a pattern may look at behind a run: an extension, the end of a word."""


class Run(NamedTuple):
    start: int
    end: int


def runs(text: str) -> list[Run]:
    """Every stretch of 7 and more characters that begins and ends with a digit."""
    return [Run(*match.span()) for match in _RUN.finditer(text)]


def within(pattern: re.Pattern[str], text: str, found: Sequence[Run]) -> Iterator[re.Match[str]]:
    """Matches of a pattern that begin in a run, or with the signs before it. In order, each once."""
    at = 0
    for start, end in found:
        at = max(at, start - _AHEAD)
        while at < end:
            match = pattern.search(text, at, end + _BEHIND)
            if match is None or match.start() >= end:
                break
            yield match
            at = max(match.end(), match.start() + 1)


def before(text: str, start: int, length: int) -> str:
    """At most `length` characters before a place, of the same text."""
    return text[max(0, start - length) : start].rpartition(APART)[2]


def after(text: str, end: int, length: int) -> str:
    """At most `length` characters behind a place, of the same text."""
    return text[end : end + length].partition(APART)[0]


def digits_of(number: str) -> str:
    """Only its digits 0 to 9."""
    return _OTHER.sub("", number)


_OTHER = re.compile(r"[^0-9]+")
