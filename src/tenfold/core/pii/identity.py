"""Numbers that a state gives a person: US social security numbers by their ranges, passports by the word before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.numbers import Run, before, within

_SSN = re.compile(
    r"(?<![\w.+/-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w/-])(?!\.\d)", re.ASCII
)
"""Areas 000, 666 and 900-999, group 00 and serial 0000 are never issued (SSA, since 2011)."""
_SSN_BARE = re.compile(r"(?<![\w.+/-])(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}(?!\d)", re.ASCII)
_SSN_BEFORE = re.compile(r"(?i:\bssn\b|\bsocial security\b)\D{0,24}$")


def ssns(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for match in within(_SSN, text, found):
        yield match.span()
    for match in within(_SSN_BARE, text, found):
        if _SSN_BEFORE.search(before(text, match.start(), 44)):
            yield match.span()


_PASSPORT_WORD = re.compile(
    r"[Pp](?:ass(?:port|eport|aporto)|asaporte|ASSPORT)|[Rr]eisepass|REISEPASS|[Pp]aszport|[Пп]аспорт"
)
_PASSPORT = re.compile(
    r"[^\d\n\0]{0,24}?\b(?P<number>(?=(?:[A-Z]*\d){5})[A-Z0-9]{6,9})(?![\w-])",
    re.ASCII,
)
"""ICAO 9303 gives a document number nine characters; countries use six to nine, most of them digits."""


def passports(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Six to nine capitals and digits within a few words of `passport`; alone they could be anything."""
    for word in _PASSPORT_WORD.finditer(text):
        match = _PASSPORT.match(text, word.end(), word.end() + 64)
        if match is not None:
            yield match.span("number")
