"""Texts with slips: of the fingers on a keyboard, of a scanner's eye, of words left out or exchanged.

A model that has seen slips reads people's questions better. Rates are per letter or per word. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tenfold.data import record
from tenfold.data.augment.offspring import texts
from tenfold.errors import ConfigError

KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of letters as ISO/IEC 9995 lays them out in English; each row lies half a key to the right."""
MISREAD = {
    "m": ("rn",), "rn": ("m",), "w": ("vv",), "vv": ("w",), "d": ("cl",), "cl": ("d",), "h": ("b", "li"),
    "l": ("1", "I"), "1": ("l", "I"), "I": ("l", "1"), "i": ("j", "1"), "O": ("0", "Q"), "0": ("O",),
    "o": ("0", "c"), "e": ("c",), "c": ("e",), "a": ("o",), "s": ("5",), "S": ("5",), "5": ("S",),
    "B": ("8",), "8": ("B",), "g": ("q", "9"), "Z": ("2",), "2": ("Z",), "u": ("ii",), "f": ("t",),
    "t": ("f",), "n": ("ri",), ",": (".",), ".": (",",), "fi": ("ﬁ",),
}  # fmt: skip
"""What recognisers of print confuse: shapes that share strokes, and pairs that touch."""
_MISREADABLE = re.compile("|".join(sorted(map(re.escape, MISREAD), key=len, reverse=True)))


def neighbours(letter: str) -> str:
    """The keys that touch a letter's, in the letter's own case; empty for what is no letter of KEYBOARD."""
    low = letter.lower()
    for row, keys in enumerate(KEYBOARD):
        at = keys.find(low)
        if at < 0:
            continue
        found = keys[max(at - 1, 0) : at] + keys[at + 1 : at + 2]
        if row > 0:
            found += KEYBOARD[row - 1][at : at + 2]
        if row + 1 < len(KEYBOARD):
            found += KEYBOARD[row + 1][max(at - 1, 0) : at + 1]
        return found.upper() if letter.isupper() else found
    return ""


def typos(text: str, rate: float, random: np.random.Generator) -> str:
    """Of every letter, with chance `rate`: the key beside it, left out, twice, or exchanged with the next."""
    made: list[str] = []
    chance = random.random(len(text)).tolist()
    at = 0
    while at < len(text):
        letter = text[at]
        near = neighbours(letter)
        if not near or chance[at] >= rate:
            made.append(letter)
        else:
            kind = int(random.integers(4))
            if kind == 0:
                made.append(near[int(random.integers(len(near)))])
            elif kind == 2:
                made.append(letter * 2)
            elif kind == 3 and at + 1 < len(text):
                made.append(text[at + 1] + letter)
                at += 1
        at += 1
    return "".join(made)


def misread(text: str, rate: float, random: np.random.Generator) -> str:
    """Of everything that MISREAD knows, with chance `rate`, what a scanner might have seen."""

    def seen(found: re.Match[str]) -> str:
        if random.random() >= rate:
            return found.group()
        choices = MISREAD[found.group()]
        return choices[int(random.integers(len(choices)))]

    return _MISREADABLE.sub(seen, text)


def shuffled_words(text: str, drop: float, swap: float, random: np.random.Generator) -> str:
    """With chance `drop` a word goes, with chance `swap` it changes places with the next.

    White space stays as it was, so lines and paragraphs keep their shape (Wei and Zou 2019, EDA).
    """
    pieces = re.split(r"(\s+)", text)
    words = [at for at in range(0, len(pieces), 2) if pieces[at]]
    for this, following in pairwise(words):
        if random.random() < swap:
            pieces[this], pieces[following] = pieces[following], pieces[this]
    if len(words) > 1:
        going = [at for at in words if random.random() < drop]
        for at in going[: len(words) - 1]:
            # The space behind a word goes with it; a line's end stays.
            pieces[at] = ""
            if at + 1 < len(pieces) and "\n" not in pieces[at + 1]:
                pieces[at + 1] = ""
    return "".join(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slips:
    """Children of texts with slips in them. A rate of 0 leaves a kind out."""

    name: ClassVar[str] = "text.slips"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT,)
    writes: ClassVar[tuple[str, ...]] = ()

    typos: float = 0.02
    """Per letter of the keyboard, 0 to 1."""
    misread: float = 0.0
    """Per place a scanner could misread, 0 to 1."""
    drop: float = 0.0
    """Per word left out, 0 to 1."""
    swap: float = 0.0
    """Per word exchanged with the next, 0 to 1."""
    copies: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("typos", "misread", "drop", "swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be between 0 and 1", seen=getattr(self, name))

    def text(
        self, text: str, meta: Mapping[str, object], random: np.random.Generator
    ) -> str | None:
        made = (
            shuffled_words(text, self.drop, self.swap, random) if self.drop or self.swap else text
        )
        made = typos(made, self.typos, random) if self.typos else made
        return misread(made, self.misread, random) if self.misread else made

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The children alone; put them behind their parents."""
        return texts(batch, self)
