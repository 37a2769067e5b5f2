"""Token ids at rest, in any number of files, read as if they were one row of ids.

Documents follow each other, each with its end token where the tokenizer has one; where they begin stands in
a file beside the ids. Files are memory mapped, the few that were read last at a time: nothing has to fit in
memory. Knows no text, no tokenizer and no order but that of the files.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Literal

from tenfold.errors import InputError

Width = Literal[2, 4]
"""Bytes of an id."""
MOST_MAPS = 64
"""Files mapped at a time: a large corpus has more than a process may have open."""
OFFSET_BYTES = 8


def width_for(vocabulary: int) -> Width:
    """As few bytes as hold every id of a vocabulary of so many entries."""
    return 2 if vocabulary <= 1 << 16 else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """Ids of whole documents, one after the other, little-endian."""

    path: Path
    num_tokens: int
    num_bytes: int
    """UTF-8 bytes of the text they stand for."""
    offsets: Path | None = None
    """uint64, little-endian: where each document begins, and at last where the last one ends."""
    num_documents: int = 0
    """Where there are offsets."""


class TokenStream:
    """Files in order as one row of ids. Not for several threads at once."""

    def __init__(self, files: Sequence[TokenFile], width: Width) -> None:
        self._files = [file for file in files if file.num_tokens]
        self._starts = [0, *accumulate(file.num_tokens for file in self._files)]
        self._firsts = [0, *accumulate(file.num_documents for file in self._files)]
        self._maps: dict[Path, memoryview] = {}
        self.width = width
        self.num_tokens = self._starts[-1]
        self.num_documents = self._firsts[-1]
        self.num_bytes = sum(file.num_bytes for file in self._files)

    @property
    def dtype(self) -> str:
        """As numpy names it."""
        return f"<u{self.width}"

    def read(self, start: int, stop: int) -> bytes:
        """The ids start .. stop - 1 as `dtype`. Raises IndexError outside of the row."""
        if not 0 <= start <= stop <= self.num_tokens:
            raise IndexError((start, stop))
        parts = []
        number = bisect_right(self._starts, start) - 1
        while start < stop:
            first, last = self._starts[number], min(stop, self._starts[number + 1])
            file = self._files[number]
            mapped = self._mapped(file.path, file.num_tokens * self.width)
            parts.append(mapped[(start - first) * self.width : (last - first) * self.width])
            start, number = last, number + 1
        return b"".join(parts)

    def ids(self, start: int, stop: int) -> array[int]:
        """The same as numbers."""
        found = array("H" if self.width == 2 else "I", self.read(start, stop))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    def documents(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of every document, in order. Raises InputError where boundaries were not kept."""
        for number, file in enumerate(self._files):
            base = self._starts[number]
            for start, stop in pairwise(self._offsets(file)):
                yield base + start, base + stop

    def boundaries(self, start: int, stop: int) -> list[int]:
        """Where documents begin, from start to stop - 1: what attention within documents needs of a block.

        Raises InputError where boundaries were not kept.
        """
        found: list[int] = []
        number = max(0, bisect_right(self._starts, start) - 1)
        while number < len(self._files) and self._starts[number] < stop:
            base, offsets = self._starts[number], self._offsets(self._files[number])
            at = bisect_right(offsets, start - base - 1)
            while at < len(offsets) - 1 and base + offsets[at] < stop:
                found.append(base + offsets[at])
                at += 1
            number += 1
        return found

    def close(self) -> None:
        self._maps.clear()

    def _offsets(self, file: TokenFile) -> memoryview[int]:
        if file.offsets is None:
            raise InputError("where documents begin was not kept", where=str(file.path))
        mapped = self._mapped(file.offsets, (file.num_documents + 1) * OFFSET_BYTES)
        if sys.byteorder == "big":
            raise InputError("offsets are read on little-endian machines only")
        return mapped.cast("Q")

    def _mapped(self, path: Path, num_bytes: int) -> memoryview:
        mapped = self._maps.pop(path, None)
        if mapped is None:
            while len(self._maps) >= MOST_MAPS:
                del self._maps[next(iter(self._maps))]  # the one that was longest not read
            with path.open("rb") as file:
                mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            if len(mapped) != num_bytes:
                raise InputError(
                    "a file of tokens is not as long as it says",
                    where=str(path),
                    seen=f"{len(mapped)} bytes, not {num_bytes}",
                )
        self._maps[path] = mapped
        return mapped
