"""The longest stretch of a text that stands, letter for letter, in a large body of other texts.

Windows are compared by 64-bit rolling hashes, all at once, one letter longer at each round, so that
megabytes of training text cost a fraction of a second. Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.need import need

if TYPE_CHECKING:
    import numpy as np

SHORTEST = 24
"""Characters: shorter agreements are words and idioms, and are reported as none."""
_BASE = 0x9E3779B97F4A7C15
_BREAK = 0
"""Stands between texts; 0 is no letter, so no window reaches over it."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """`text[start : start + length]` stands in the body; length 0 when nothing of SHORTEST does."""

    start: int = 0
    length: int = 0


def longest_overlaps(texts: Sequence[str], body: Iterable[str]) -> list[Overlap]:
    """For each text its longest verbatim overlap with any one text of the body (the first of equals)."""
    np = need("numpy", extra="train", why="to compare samples with the training text")
    known, _ = _letters(body)
    asked, owners = _letters(texts)
    best = [Overlap() for _ in texts]
    if len(known) <= SHORTEST or len(asked) <= SHORTEST:
        return best
    there, here = _windows(known, SHORTEST), _windows(asked, SHORTEST)
    at_known = np.flatnonzero(~_broken(known, SHORTEST))
    at_asked = np.flatnonzero(~_broken(asked, SHORTEST))
    there, here = there[at_known], here[at_asked]
    starts = np.concatenate([[0], np.flatnonzero(asked == _BREAK) + 1])
    length = SHORTEST
    base = np.uint64(_BASE)
    while True:
        # The body is long and the samples are short: search the short one, sorted, for each of the long.
        matched = _among(there, np.unique(here))
        there, at_known = there[matched], at_known[matched]
        kept = _among(here, np.unique(there))
        here, at_asked = here[kept], at_asked[kept]
        if not len(here):
            return best
        matching, first = np.unique(owners[at_asked], return_index=True)
        for owner, position in zip(matching.tolist(), at_asked[first].tolist(), strict=True):
            best[owner] = Overlap(position - int(starts[owner]), length)
        there, at_known = _longer(there, at_known, known, length, base)
        here, at_asked = _longer(here, at_asked, asked, length, base)
        length += 1


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which of `values` are in `ordered` (sorted, each once)."""
    import numpy as np

    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    at = np.searchsorted(ordered, values)
    at[at == len(ordered)] = 0
    return ordered[at] == values


def _letters(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all texts with a break after each, and the number of the text each belongs to."""
    import numpy as np

    pieces = [text.replace("\0", "\N{REPLACEMENT CHARACTER}") + "\0" for text in texts]
    letters = np.frombuffer("".join(pieces).encode("utf-32-le", "replace"), dtype=np.uint32)
    sizes = [len(piece) for piece in pieces]
    return letters.astype(np.uint64), np.repeat(np.arange(len(pieces)), sizes)


def _windows(letters: np.ndarray, length: int) -> np.ndarray:
    """The hash of every window: a polynomial in an odd base, modulo 2^64, over mixed letters."""
    import numpy as np

    mixed, base = _mixed(letters), np.uint64(_BASE)
    num_windows = len(letters) - length + 1
    hashes = np.zeros(num_windows, dtype=np.uint64)
    for offset in range(length):
        hashes = hashes * base + mixed[offset : offset + num_windows]
    return hashes


def _longer(
    hashes: np.ndarray, at: np.ndarray, letters: np.ndarray, length: int, base: np.uint64
) -> tuple[np.ndarray, np.ndarray]:
    """Windows one letter longer; those that would end in a break or beyond the end are gone."""
    inside = at + length < len(letters)
    hashes, at = hashes[inside], at[inside]
    following = letters[at + length]
    whole = following != _BREAK
    return hashes[whole] * base + _mixed(following[whole]), at[whole]


def _broken(letters: np.ndarray, length: int) -> np.ndarray:
    """Windows with a break in them."""
    import numpy as np

    breaks = np.concatenate([[0], np.cumsum(letters == _BREAK)])
    return breaks[length:] > breaks[:-length]


def _mixed(letters: np.ndarray) -> np.ndarray:
    """Letters spread over 64 bits, so that a polynomial modulo 2^64 does not collide on plain text."""
    import numpy as np

    x = letters * np.uint64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> np.uint64(29))
    return x * np.uint64(0x94D049BB133111EB)
