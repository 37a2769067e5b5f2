"""One part of an index: what one build or one addition wrote, never changed afterwards, memory-mapped.

Its files are numpy arrays, one usearch graph and a little JSON. Knows entries, not questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index as Graph

from tenfold.data.retrieval.encoder import Encoder
from tenfold.data.retrieval.entry import UNKNOWN_TIME, Entry
from tenfold.data.retrieval.postings import Postings
from tenfold.data.retrieval.strings import Strings
from tenfold.data.retrieval.words import number, numbers

_CODED = ("source", "licence")
_TEXTS = ("id", "title", "text", "place", "meta")
VECTORS = "vectors.usearch"
_EXACT = 50_000
"""Vectors up to which all are compared: exact, and fast enough to need no graph."""


class Part:
    """An opened part. Rows count from 0."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self.folder = folder
        self.postings = Postings(folder)
        self.authority = np.load(folder / "authority.npy", mmap_mode="r")
        self.time_us = np.load(folder / "time.npy", mmap_mode="r")
        self.edges: list[list[str]] = json.loads((folder / "edges.json").read_bytes())
        self._dimensions = dimensions
        self._strings: dict[str, Strings] = {}
        self._codes: dict[str, tuple[list[str], np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.postings)

    def string(self, name: str, row: int) -> str:
        """`id`, `title`, `text`, `place` or `meta` of a record."""
        if name not in self._strings:
            self._strings[name] = Strings(self.folder, name)
        return self._strings[name][row]

    def coded(self, name: str) -> tuple[list[str], np.ndarray]:
        """`source` or `licence`: the values there are, and each row's number among them."""
        if name not in self._codes:
            values = json.loads((self.folder / f"{name}.json").read_bytes())
            self._codes[name] = (values, np.load(self.folder / f"{name}.npy", mmap_mode="r"))
        return self._codes[name]

    def rows_named(self, name: str) -> list[int]:
        """The records with this id or key."""
        wanted = np.uint64(_name_number(name))
        low = int(np.searchsorted(self._names, wanted))
        high = int(np.searchsorted(self._names, wanted, side="right"))
        return sorted(set(self._named[low:high].tolist()))

    @cached_property
    def _names(self) -> np.ndarray:
        return np.load(self.folder / "names.npy", mmap_mode="r")

    @cached_property
    def _named(self) -> np.ndarray:
        return np.load(self.folder / "named.npy", mmap_mode="r")

    @cached_property
    def _graph(self) -> Graph:
        graph = Graph(ndim=self._dimensions, metric="cos", dtype="f16")
        graph.view(str(self.folder / VECTORS))
        return graph

    def nearest(self, vector: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the nearest vectors, nearest first; exact up to 50,000 records."""
        if not len(self) or not vector.any():
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = self._graph.search(vector, min(count, len(self)), exact=len(self) <= _EXACT)
        return found.keys.astype(np.int64), 1 - found.distances

    def entry(self, row: int) -> Entry:
        """The record as it was taken in."""
        source, sources = self.coded("source")
        licence, licences = self.coded("licence")
        time_us = int(self.time_us[row])
        return Entry.of(
            self.string("id", row),
            self.string("text", row),
            json.loads(self.string("meta", row)),
            source=source[sources[row]],
            licence=licence[licences[row]],
            place=self.string("place", row),
            authority=float(self.authority[row]),
            time_us=None if time_us == UNKNOWN_TIME else time_us,
        )

    @staticmethod
    def write(folder: Path, entries: Sequence[Entry], encoder: Encoder, title_weight: int) -> None:
        """All files of a part. Raises OSError."""
        folder.mkdir(parents=True)
        weighed = [
            [entry.title] * (title_weight if entry.title else 0) + [entry.text] for entry in entries
        ]
        Postings.write(folder, (numbers("\n".join(pieces)) for pieces in weighed))
        for name in _TEXTS:
            values = (
                entry.described() if name == "meta" else getattr(entry, name) for entry in entries
            )
            Strings.write(folder, name, values)
        for name in _CODED:
            known = sorted({getattr(entry, name) for entry in entries})
            code = {value: number for number, value in enumerate(known)}
            _write_json(folder / f"{name}.json", known)
            np.save(
                folder / f"{name}.npy",
                np.array([code[getattr(entry, name)] for entry in entries], np.uint32),
            )
        np.save(folder / "authority.npy", np.array([e.authority for e in entries], np.float32))
        times = [UNKNOWN_TIME if e.time_us is None else e.time_us for e in entries]
        np.save(folder / "time.npy", np.array(times, np.int64))
        names = [
            (_name_number(name), row)
            for row, entry in enumerate(entries)
            for name in {entry.id, entry.key} - {""}
        ]
        names.sort()
        np.save(folder / "names.npy", np.array([name for name, _ in names], np.uint64))
        np.save(folder / "named.npy", np.array([row for _, row in names], np.int64))
        edges = [[entry.id, new] for entry in entries for new in entry.superseded_by]
        edges += [[old, entry.id] for entry in entries for old in entry.supersedes]
        _write_json(folder / "edges.json", edges)
        graph = Graph(ndim=encoder.dimensions, metric="cos", dtype="f16")
        # One thread: the graph, and so the file, is the same every time.
        for start in range(0, len(entries), 256):
            chunk = entries[start : start + 256]
            vectors = encoder.encode([f"{e.title}\n{e.text}" if e.title else e.text for e in chunk])
            keys = np.arange(start, start + len(chunk), dtype=np.uint64)
            graph.add(keys, np.asarray(vectors, np.float32), threads=1)
        graph.save(str(folder / VECTORS))


def _name_number(name: str) -> int:
    return number(f"name:{name}")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
