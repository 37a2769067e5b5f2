"""The index: parts in a folder, opened without reading them, searched by words and vectors.

    index = Index.open(asset.folder())
    for hit in index.search("how are wheels tagged", k=5):
        print(hit.citation, hit.passage)

Adding writes a new part; nothing that is there is touched. Knows no asset and no gateway.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.retrieval import postings
from tenfold.data.retrieval.encoder import Encoder, LetterEncoder
from tenfold.data.retrieval.entry import UNKNOWN_TIME, Entry
from tenfold.data.retrieval.filters import Filters
from tenfold.data.retrieval.part import Part
from tenfold.data.retrieval.passage import passage
from tenfold.data.retrieval.postings import Bm25
from tenfold.data.retrieval.ranking import Ranking, fused, standing
from tenfold.data.retrieval.supersession import Supersession
from tenfold.data.retrieval.words import numbers
from tenfold.errors import InputError, UsageError

FILE = "index.json"
_RARITY = "rarity.npy"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found, with what an answer needs to cite it."""

    id: str
    score: float
    title: str
    passage: str
    start: int
    end: int
    """Where the passage is in the record's text, characters."""
    source: str
    place: str
    licence: str
    authority: float
    time_us: int | None
    snapshot: str
    """Digest of the snapshot that the record was indexed from."""
    superseded_by: tuple[str, ...]
    """Ids of the records that hold in its place today; empty: it stands."""

    @property
    def citation(self) -> str:
        """`id@snapshot`: names the very text for good."""
        return f"{self.id}@{self.snapshot[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """What is fixed when an index is built."""

    bm25: Bm25 = dataclasses.field(default_factory=Bm25)
    title_weight: int = 2
    """Times a title counts, 0 or more."""
    dimensions: int = 512
    """Of the vectors of the encoder that needs no model, 8 or more."""


class Index:
    """An opened index."""

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        """Use `open`."""
        self.folder = folder
        try:
            self._told: dict[str, Any] = json.loads((folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"not an index: {error}", where=str(folder)) from None
        if self._told["format"] != _FORMAT:
            raise InputError(
                "this index was written in another format",
                where=str(folder),
                seen=self._told["format"],
            )
        self.bm25 = Bm25(**self._told["bm25"])
        dimensions = self._told["encoder"]["dimensions"]
        if encoder is None and self._told["encoder"]["name"] == LetterEncoder.name:
            encoder = LetterEncoder.load(folder / _RARITY, dimensions)
        if encoder is None or encoder.name != self._told["encoder"]["name"]:
            raise UsageError(
                f"this index was built with the encoder {self._told['encoder']['name']!r}",
                where=str(folder),
                seen=encoder and encoder.name,
                hint="hand the same encoder in",
            )
        self._encoder: Encoder = encoder
        self.parts = [Part(folder / name, dimensions) for name in self._told["parts"]]
        self._bases = np.cumsum([0, *(len(part) for part in self.parts)])

    @classmethod
    def open(cls, folder: Path | str, encoder: Encoder | None = None) -> Index:
        """What `build` wrote. `encoder`: the one it was built with, unless it is the one without a model.

        Raises InputError for what is no index, UsageError for another encoder.
        """
        return cls(Path(folder), encoder)

    def __len__(self) -> int:
        """How many records."""
        return int(self._bases[-1])

    @classmethod
    def build(
        cls,
        folder: Path,
        entries: Iterable[Entry],
        *,
        snapshot: str,
        config: IndexConfig | None = None,
        encoder: Encoder | None = None,
    ) -> Index:
        """A new index in `folder`, which must be empty or not there. `snapshot`: digest of where they come from."""
        config = config or IndexConfig()
        records = _distinct(entries)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError("the folder of a new index must be empty", where=str(folder))
        if encoder is None:
            texts = (f"{entry.title}\n{entry.text}" for entry in records)
            encoder = LetterEncoder.learnt(texts, config.dimensions)
            encoder.save(folder / _RARITY)
        Part.write(folder / "part0", records, encoder, config.title_weight)
        told = {
            "format": _FORMAT,
            "bm25": dataclasses.asdict(config.bm25),
            "title_weight": config.title_weight,
            "encoder": {"name": encoder.name, "dimensions": encoder.dimensions},
            "parts": ["part0"],
            "snapshots": [snapshot],
        }
        _write(folder / FILE, told)
        return cls(folder, encoder)

    def add(self, entries: Iterable[Entry], *, snapshot: str) -> Index:
        """The index with a further part. A reader that has it open goes on seeing what it opened.

        Records whose id is there already are left out. An addition that is cut off leaves the index as it was.
        """
        new = [
            entry
            for entry in _distinct(entries)
            if not any(
                part.string("id", row) == entry.id
                for part in self.parts
                for row in part.rows_named(entry.id)
            )
        ]
        name = f"part{len(self.parts)}"
        shutil.rmtree(self.folder / name, ignore_errors=True)  # of an addition that was cut off
        Part.write(self.folder / name, new, self._encoder, self._told["title_weight"])
        told = {
            **self._told,
            "parts": [*self._told["parts"], name],
            "snapshots": [*self._told["snapshots"], snapshot],
        }
        _write(self.folder / FILE, told)
        return type(self)(self.folder, self._encoder)

    def rebuilt(self, folder: Path, *, without: Collection[str] = ()) -> Index:
        """In another folder as one part for each snapshot, `without` the records of these ids: of them no byte
        stays, and the rarity of sequences is learnt anew."""
        kept = [
            [entry for entry in self._entries(part) if entry.id not in set(without)]
            for part in self.parts
        ]
        config = IndexConfig(
            bm25=self.bm25,
            title_weight=self._told["title_weight"],
            dimensions=self._encoder.dimensions,
        )
        letters = isinstance(self._encoder, LetterEncoder)
        made = type(self).build(
            folder,
            kept[0],
            snapshot=self._told["snapshots"][0],
            config=config,
            encoder=None if letters else self._encoder,
        )
        for entries, snapshot in zip(kept[1:], self._told["snapshots"][1:], strict=True):
            made = made.add(entries, snapshot=snapshot)
        return made

    def _entries(self, part: Part) -> Iterator[Entry]:
        return (part.entry(row) for row in range(len(part)))

    @cached_property
    def supersession(self) -> Supersession:
        """Who took whose place. Names that no record here has are passed over."""
        edges = {(old, new) for part in self.parts for old, new in part.edges}
        return Supersession(
            (old, new)
            for old_name, new_name in sorted(edges)
            for old in self.rows_named(old_name)
            for new in self.rows_named(new_name)
        )

    def rows_named(self, name: str) -> list[int]:
        """Rows of the records with this id or key."""
        return [
            int(base) + row
            for part, base in zip(self.parts, self._bases, strict=False)
            for row in part.rows_named(name)
        ]

    @cached_property
    def now_us(self) -> int:
        """The newest time of any record: what ages are counted from when a search does not say."""
        times = [int(part.time_us.max()) for part in self.parts if len(part)]
        known = [time for time in times if time != UNKNOWN_TIME]
        return max(known, default=0)

    def search(
        self,
        query: str,
        k: int = 10,
        filters: Filters | None = None,
        *,
        ranking: Ranking | None = None,
        now_us: int | None = None,
        characters: int = 1200,
    ) -> list[Hit]:
        """The best k records, best first, each with the passage of at most `characters` that answers best."""
        rule, allowed = ranking or Ranking(), filters or Filters()
        question = [int(one) for one in numbers(query)]
        scored = self._scored(query, question, allowed, rule, now_us)
        best = sorted(scored.items(), key=lambda item: (-item[1], item[0]))[:k]
        weights = {
            term: max(self.bm25.idf(len(self), number), 0.0)
            for term in set(question)
            if (number := sum(len(part.postings.of(term)[0]) for part in self.parts))
        }
        return [self._hit(row, score, weights, characters) for row, score in best]

    def _scored(
        self,
        query: str,
        question: Sequence[int],
        allowed: Filters,
        rule: Ranking,
        now_us: int | None,
    ) -> dict[int, float]:
        masks = [allowed.mask(part) for part in self.parts]

        def passes(row: int) -> bool:
            part, at = self._at(row)
            mask = masks[part]
            return (mask is None or bool(mask[at])) and allowed.passes_meta(self.parts[part], at)

        by_words = self._by_words(question, masks, passes, rule.depth) if rule.words else []
        by_vectors = self._by_vectors(query, passes, rule.depth) if rule.vectors else []
        scores = fused(((rule.words, by_words), (rule.vectors, by_vectors)), rule.rank_constant)
        if rule.superseded != "keep":
            # Successors join even where neither order found them.
            joined = {
                new
                for row in scores
                if row in self.supersession
                for new in chain(self.supersession.successors(row), self.supersession.newest(row))
                if new not in scores and passes(new)
            }
        else:
            joined = set()
        rows = np.array(sorted({*scores, *joined}), dtype=np.int64)
        weight = dict(zip(rows.tolist(), self._standing(rows, now_us, rule).tolist(), strict=True))
        weighed = {row: score * weight[row] for row, score in scores.items()}
        if rule.superseded == "keep":
            return weighed
        made = self.supersession.applied(weighed, rule.demote, {*scores, *joined})
        if rule.superseded == "hide":
            made = {row: score for row, score in made.items() if row not in self.supersession}
        return made

    def _by_words(
        self,
        question: Sequence[int],
        masks: Sequence[np.ndarray | None],
        passes: Callable[[int], bool],
        depth: int,
    ) -> list[tuple[int, float]]:
        scores = postings.scores([part.postings for part in self.parts], question, self.bm25)
        for mask, base in zip(masks, self._bases, strict=False):
            if mask is not None:
                scores[base : base + len(mask)][~mask] = 0
        rows = np.flatnonzero(scores > 0)
        rows = rows[np.lexsort((rows, -scores[rows]))]
        order = zip(rows.tolist(), scores[rows].tolist(), strict=True)
        return _first(order, passes, depth)

    def _by_vectors(
        self, query: str, passes: Callable[[int], bool], depth: int
    ) -> list[tuple[int, float]]:
        vector = np.asarray(self._encoder.encode([query])[0], np.float32)
        count = depth
        while True:
            found: list[tuple[float, int]] = []
            for part, base in zip(self.parts, self._bases, strict=False):
                rows, cosines = part.nearest(vector, count)
                found += zip((-cosines).tolist(), (rows + base).tolist(), strict=True)
            found.sort()
            order = [(row, -away) for away, row in found if away < 0]
            first = _first(order, passes, depth)
            # A narrow filter leaves few of the nearest: look further until there are enough, or no more.
            if len(first) >= depth or count >= len(self):
                return first
            count *= 8

    def _standing(self, rows: np.ndarray, now_us: int | None, rule: Ranking) -> np.ndarray:
        authority, times = np.empty(len(rows)), np.empty(len(rows), np.int64)
        for part, base in zip(self.parts, self._bases, strict=False):
            here = (rows >= base) & (rows < base + len(part))
            authority[here] = part.authority[rows[here] - base]
            times[here] = part.time_us[rows[here] - base]
        return standing(authority, times, self.now_us if now_us is None else now_us, rule)

    def _at(self, row: int) -> tuple[int, int]:
        part = int(np.searchsorted(self._bases, row, side="right")) - 1
        return part, row - int(self._bases[part])

    def _hit(self, row: int, score: float, weights: dict[int, float], characters: int) -> Hit:
        number, at = self._at(row)
        part = self.parts[number]
        text = part.string("text", at)
        start, end = passage(text, weights, characters)
        sources, source = part.coded("source")
        licences, licence = part.coded("licence")
        time_us = int(part.time_us[at])
        newest = self.supersession.newest(row)
        return Hit(
            id=part.string("id", at),
            score=score,
            title=part.string("title", at),
            passage=text[start:end],
            start=start,
            end=end,
            source=sources[source[at]],
            place=part.string("place", at),
            licence=licences[licence[at]],
            authority=float(part.authority[at]),
            time_us=None if time_us == UNKNOWN_TIME else time_us,
            snapshot=self._told["snapshots"][number],
            superseded_by=tuple(self._id(new) for new in newest if new != row),
        )

    def _id(self, row: int) -> str:
        part, at = self._at(row)
        return self.parts[part].string("id", at)


def _first(
    order: Iterable[tuple[int, float]], passes: Callable[[int], bool], depth: int
) -> list[tuple[int, float]]:
    kept: list[tuple[int, float]] = []
    for row, score in order:
        if passes(row):
            kept.append((row, score))
            if len(kept) == depth:
                break
    return kept


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    return list({entry.id: entry for entry in entries}.values())


def _write(path: Path, told: dict[str, Any]) -> None:
    """All or nothing: a reader sees the old file or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)
