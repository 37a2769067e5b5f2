"""Where a person is in bytes: in any case, as UTF-8 or UTF-16, escaped as in JSON or in URLs, numbers with gaps.

Bytes are first asked for plain needles, at memory speed; only where one is found do exact patterns decide.
Names are found with their words side by side in either order; in a row also with the words in fields of
their own. Knows no file and no format.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Set
from typing import Any
from urllib.parse import quote

from tenfold.core.pii.phone import COUNTRY
from tenfold.data.privacy.forms import forms
from tenfold.data.privacy.person import NUMBERS, Identifier, Person

REACH_BYTES = 1024
"""No trace is longer: pieces of a stream overlap by so much."""
_GAP = rb"(?:[ .()/-]|\xc2\xa0){0,4}"
_BEFORE, _BEHIND = rb"(?<![0-9A-Za-z])", rb"(?![0-9A-Za-z])"
_AROUND = 256
"""Bytes around a needle in which the whole trace must be."""


class Traces:
    def __init__(self, person: Person) -> None:
        self.person = person
        needles: set[bytes] = set()
        spelled_out: list[bytes] = []
        self._numbers: list[tuple[re.Pattern[bytes], re.Pattern[bytes]]] = []
        for identifier in person.identifiers:
            if identifier.kind in NUMBERS:
                self._numbers.append(_number_patterns(identifier))
            elif identifier.kind == "name":
                needles |= _spellings(max(identifier.words, key=len))
                spelled_out += _name_patterns(identifier)
            else:
                local = identifier.text.partition("@")[0]  # whatever the sign is written as
                needles |= _spellings(local if len(local) > 4 else identifier.text)
                spelled_out.append(_text_pattern(identifier.text))
        self._needles = sorted(needle for needle in needles if b"\0" not in needle)
        self._wide_needles = sorted(needle for needle in needles if b"\0" in needle)
        self._spelled_out = re.compile(b"|".join(spelled_out), re.IGNORECASE)
        self._names = [i.words for i in person.identifiers if i.kind == "name"]
        self._words = {word: _spellings(word) for name in self._names for word in name}

    def places(self, data: bytes) -> Iterator[int]:
        """Where it is worth looking: at every trace, and for a name at its longest word, too. Unordered."""
        low = data.lower()
        for needle in self._needles + (self._wide_needles if b"\0" in data else []):
            at = low.find(needle)
            while at >= 0:
                yield at
                at = low.find(needle, at + 1)
        for spaced, _ in self._numbers:
            for match in spaced.finditer(low):
                yield match.start()

    def maybe(self, data: bytes) -> bool:
        """Never false where there is a trace."""
        return next(self.places(data), None) is not None

    def matches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where traces are, in order, none overlapping another."""
        found = set()
        patterns = [exact for _, exact in self._numbers]
        if self._needles:
            patterns.append(self._spelled_out)
        for at in self.places(data):
            for pattern in patterns:
                for match in pattern.finditer(data, max(0, at - _AROUND), at + 2 * _AROUND):
                    found.add(match.span())
        taken = 0
        for start, end in sorted(found):
            if start >= taken:
                taken = end
                yield start, end

    def name_words(self, data: bytes) -> set[str]:
        """The words of names that stand somewhere in it."""
        low = data.lower() if self._words else b""
        found: set[str] = set()
        for name in self._names:
            for word in sorted(name, key=len, reverse=True):  # the longest is the rarest
                if not any(s in low for s in self._words[word] if b"\0" not in s):
                    break
                found.add(word)
        return found

    def named_by(self, words: Set[str]) -> bool:
        """Whether they are all the words of one of the names."""
        return any(words >= set(name) for name in self._names)

    def any(self, data: bytes) -> bool:
        return next(self.matches(data), None) is not None

    def blanked(self, data: bytes, stand_in: bytes | None = b"[ERASED]") -> tuple[bytes, int]:
        """The bytes with each trace exchanged, and how many there were. None: as many `x` as it was long."""
        pieces: list[bytes] = []
        at = count = 0
        for start, end in self.matches(data):
            pieces += (data[at:start], b"x" * (end - start) if stand_in is None else stand_in)
            at = end
            count += 1
        return b"".join((*pieces, data[at:])), count

    def in_record(self, value: Any) -> bool:
        """Of a row, a JSON value or a plain value: does it hold a trace, or a name word by word?"""
        leaves = list(_leaves(value))
        texts = [
            leaf if isinstance(leaf, bytes) else str(leaf).encode(errors="replace")
            for leaf in leaves
        ]
        if any(self.any(text) for text in texts):
            return True
        if not self._names:
            return False
        words = {
            str(leaf).strip().casefold()
            for leaf in leaves
            if isinstance(leaf, str) and len(leaf) < 64
        }
        return any(set(name) <= words for name in self._names)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(key) if not isinstance(key, str) else ()
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield value


def _spellings(text: str) -> set[bytes]:
    """Lower-case bytes of a text in the encodings and cases it may have; ASCII letters match in any case."""
    cases = (
        {text}
        if text.isascii()
        else {text, text.lower(), text.upper(), text.title(), text.casefold()}
    )
    cases |= {unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD")}
    found = set()
    for case in cases:
        utf8 = case.encode(errors="replace")
        found |= {
            utf8,
            json.dumps(case)[1:-1].encode(),
            quote(case).encode(),
            case.encode("utf-16-le"),
        }
    return {spelled.lower() for spelled in found}


def _name_patterns(identifier: Identifier) -> Iterator[bytes]:
    words = [
        b"(?:" + b"|".join(map(re.escape, sorted(_spellings(w)))) + b")" for w in identifier.words
    ]
    middle = rb"(?:[ .,_+-]|\\n|%20|\s){1,3}(?:[A-Za-z]\.? )?"
    yield _BEFORE + middle.join(words) + _BEHIND
    if len(words) > 1:
        yield _BEFORE + words[-1] + middle + middle.join(words[:-1]) + _BEHIND


def _text_pattern(text: str) -> bytes:
    spelled = b"|".join(map(re.escape, sorted(_spellings(text))))
    return _BEFORE + b"(?:" + spelled + b")" + _BEHIND


def _number_patterns(identifier: Identifier) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What is quick to search in lower case and never misses it; and the number itself, bounded. A phone number is searched
    without its country and found after any way to say it."""
    full, *more = (form.partition(":")[2] for form in forms(identifier.kind, identifier.text))
    number = (more[-1] if more else full).encode()
    spaced = _GAP.join(re.escape(number[at : at + 1]) for at in range(len(number)))
    ahead, behind = _BEFORE, _BEHIND
    if identifier.kind == "phone":
        own = full[: -len(number)].encode() if more else b""
        country = rb"(?:\+|00)?" + own if own else rb"(?:\+|00)" + COUNTRY.encode()
        ahead = rb"(?<![0-9])(?:" + country + _GAP + rb"(?:\(?0\)?)?" + _GAP + rb"|\(?0)?"
        behind = rb"(?![0-9])"
    return re.compile(spaced), re.compile(ahead + spaced + behind, re.IGNORECASE)
