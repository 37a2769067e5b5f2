"""Whom to erase: identifiers, read from a command line or a file, each with the kind its look gives it.

A name is one when it has two words or more; everything else without a shape is an id. Knows no bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tenfold.core import pii
from tenfold.data.privacy.forms import forms
from tenfold.errors import UsageError

NUMBERS = frozenset({"phone", "iban", "card", "ssn"})
"""Kinds that people write with gaps."""
_SHORTEST = 5
_NAME = re.compile(r"[^\W\d_][\w'.-]*(?:,? [^\W\d_][\w'.-]*){1,4}")
_KINDS = frozenset({*pii.EVERY, "name", "id"})


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    kind: str
    """One of `pii.EVERY`, `name` or `id`."""
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """Of a name: given name first, lower case."""
        last, comma, first = self.text.partition(",")
        return tuple((f"{first} {last}" if comma else self.text).casefold().split())


@dataclass(frozen=True, slots=True)
class Person:
    identifiers: tuple[Identifier, ...]

    def __post_init__(self) -> None:
        if not self.identifiers:
            raise UsageError("nobody is named", hint="a mail address, phone number, name or id")
        for identifier in self.identifiers:
            if sum(character.isalnum() for character in identifier.text) < _SHORTEST:
                raise UsageError(
                    f"an identifier needs {_SHORTEST} letters or digits: a shorter one stands everywhere",
                    seen=identifier.text,
                )

    def forms(self) -> list[str]:
        """Every form of every identifier, as the column `subjects` may hold its hash. A word or number that
        was declared as a column may stand there as an id, whatever it looks like."""
        found: set[str] = set()
        for identifier in self.identifiers:
            found.update(forms(identifier.kind, identifier.text))
            found.update(forms("id", identifier.text))
            if identifier.kind == "name":
                found.update(forms("id", " ".join(identifier.words)))
        return sorted(found)


def read_person(identifiers: Iterable[str] = (), file: Path | None = None) -> Person:
    """`file` has one identifier a line, plain or as `kind: text`; empty lines and `#` are passed over.

    Raises UsageError for a file that cannot be read, or an identifier too short to search for.
    """
    lines = list(identifiers)
    if file is not None:
        try:
            lines += file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the identifiers: {error}", where=str(file)) from None
    found = [_identifier(line.strip()) for line in lines if line.strip() and line.strip()[0] != "#"]
    return Person(tuple(dict.fromkeys(found)))


def _identifier(text: str) -> Identifier:
    kind, colon, rest = text.partition(":")
    if colon and kind.strip().lower() in _KINDS:
        return Identifier(kind.strip().lower(), rest.strip())
    bare = text.isdecimal() and text[0] != "0"
    for label in (
        ("",) if bare else ("", "phone ")
    ):  # a number that looks like one needs no word here
        for span in pii.find(label + text, pii.EVERY):
            if (span.start, span.end) == (len(label), len(label) + len(text)):
                return Identifier(span.kind, text)
    return Identifier("name" if _NAME.fullmatch(text) else "id", text)
