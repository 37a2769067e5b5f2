"""Identifiers: text columns that differ in nearly every row, such as names, numbers of documents, addresses.

Their values are never drawn from the training rows, since one value points to one person. A new value has
the shape of a real one (letters where letters stood, digits where digits stood) and characters as frequent
as real ones; it means nothing. Knows one column at a time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tenfold.data.synth.frame import Column
from tenfold.data.synth.smooth import single_share

SINGLE_SHARE = 0.5
"""From this share of values that stand once, a text column is an identifier."""
CLASSES = ("0", "A", "a")


@dataclass(frozen=True, slots=True)
class Shapes:
    shapes: tuple[str | None, ...]
    """One per training row, None where missing: digits as 0, capitals as A, other letters as a."""
    characters: dict[str, tuple[list[str], np.ndarray]]
    """class -> characters and how often each comes"""
    known: frozenset[str]

    def sample(self, num_rows: int, rng: np.random.Generator) -> pa.Array:
        """(num_rows,) string; no value of the training rows, unless its shape leaves no other."""
        made: list[str | None] = []
        for index in rng.integers(0, len(self.shapes), num_rows):
            shape = self.shapes[index]
            value = None if shape is None else self._filled(shape, rng)
            for _ in range(20):
                if value is None or value not in self.known:
                    break
                value = self._filled(str(shape), rng)
            made.append(value)
        return pa.array(made, pa.string())

    def _filled(self, shape: str, rng: np.random.Generator) -> str:
        return "".join(
            str(rng.choice(self.characters[each][0], p=self.characters[each][1]))
            if each in CLASSES
            else each
            for each in shape
        )


def is_identifier(column: Column) -> bool:
    if column.kind != "category" or pa.types.is_boolean(column.type):
        return False
    present = column.values[~column.missing]
    return len(present) > 0 and single_share(present) >= SINGLE_SHARE


def shapes(column: Column) -> Shapes:
    assert column.categories is not None
    texts = column.categories.to_pylist()
    counts: dict[str, Counter[str]] = {each: Counter() for each in CLASSES}
    for text in texts:
        for character in text:
            kind = _class(character)
            if kind in CLASSES:
                counts[kind][character] += 1
    characters = {}
    for kind, seen in counts.items():
        names = sorted(seen)
        weights = np.array([seen[name] for name in names], float)
        characters[kind] = (names, weights / max(1.0, weights.sum()))
    masks = ["".join(map(_class, text)) for text in texts]
    return Shapes(
        tuple(None if code < 0 else masks[code] for code in column.values.tolist()),
        characters,
        frozenset(texts),
    )


def _class(character: str) -> str:
    if character.isdigit():
        return "0"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character
