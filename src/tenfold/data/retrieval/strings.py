"""A column of strings in two memory-mapped arrays: nothing is read but what is asked for. Knows no record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


class Strings:
    """`folder/name.bytes.npy` with UTF-8, `folder/name.ends.npy` with where each string ends."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = np.load(folder / f"{name}.bytes.npy", mmap_mode="r")
        self._ends = np.load(folder / f"{name}.ends.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> str:
        start = int(self._ends[row - 1]) if row else 0
        return self._bytes[start : int(self._ends[row])].tobytes().decode()

    @staticmethod
    def write(folder: Path, name: str, values: Iterable[str]) -> None:
        encoded = [value.encode() for value in values]
        np.save(folder / f"{name}.bytes.npy", np.frombuffer(b"".join(encoded), np.uint8))
        ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
        np.save(folder / f"{name}.ends.npy", ends)
