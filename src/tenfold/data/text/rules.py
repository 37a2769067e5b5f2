"""The operator `rules`: Gopher's, C4's and FineWeb's heuristics, their thresholds and where each comes from.

- Gopher: Rae et al. 2021, "Scaling Language Models", section A1.1 and table A1.
- C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.2.
- FineWeb: Penedo et al. 2024, "The FineWeb Datasets", section 3.4.

`compat` counts as datatrove 0.10 does: words are spaCy's tokens, so a comma is one too, and a good novel may fall
below 80 % of words with letters. `paper` counts words at white space, as the papers say. Lines are
annotated, not cut: C4's line rules decide which lines its sentences are counted in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import operator, record
from tenfold.data.text import buffers
from tenfold.data.text import figures as figure
from tenfold.errors import ConfigError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """Gopher's limits on repetition (table A1), shares above which a text goes."""

    dup_paragraphs: float = 0.30
    dup_paragraph_chars: float = 0.20
    dup_lines: float = 0.30
    dup_line_chars: float = 0.20
    top_2_gram: float = 0.20
    top_3_gram: float = 0.18
    top_4_gram: float = 0.16
    dup_5_gram: float = 0.15
    dup_6_gram: float = 0.14
    dup_7_gram: float = 0.13
    dup_8_gram: float = 0.12
    dup_9_gram: float = 0.11
    dup_10_gram: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Gopher's limits on quality (section A1.1)."""

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word: float = 3
    """Characters."""
    max_mean_word: float = 10
    max_hashes: float = 0.1
    """`#` per word; the same for the ellipsis."""
    max_ellipses: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alpha_words: float = 0.8
    """Share of words with a letter."""
    min_stop_words: int = 2
    """Different ones of: the, be, to, of, and, that, have, with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class C4:
    """C4's limits (section 2.2). Lines that break the first three, or speak of JavaScript or of a cookie
    policy, do not count; where too few sentences are left the text goes."""

    lines_end_in_marks: bool = True
    """One of . ? ! " ' and not an ellipsis. FineWeb leaves this rule out."""
    min_line_words: int = 3
    max_word: int = 1000
    """Characters."""
    curly: bool = True
    """A curly bracket anywhere in the lines that count: it goes."""
    lorem: bool = True
    """The words "lorem ipsum": it goes."""
    min_sentences: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FineWeb:
    """FineWeb's own limits (section 3.4)."""

    min_line_ends: float = 0.12
    """Share of lines that end in a terminal mark."""
    max_short_lines: float = 0.67
    """Share of lines of 30 characters or less."""
    max_dup_chars: float = 0.01
    """Share of characters in lines seen before."""
    max_newlines: float = 0.3
    """Line feeds per word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Writes one column per figure, `rules.<figure>`, and drops by the first limit a text breaks.

    Rows with a cause already are not judged: their figures are null. A group that is None is neither counted nor
    judged. Causes are `rules.empty` and `rules.<limit>`, such as `rules.dup_lines` or `rules.min_words`.
    """

    name: ClassVar[str] = "rules"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = (
        *(f"rules.{one}" for one in figure.FIGURES), record.DROP,
    )  # fmt: skip

    counting: Literal["compat", "paper"] = "compat"
    repetition: Repetition | None = field(default_factory=Repetition)
    quality: Quality | None = field(default_factory=Quality)
    c4: C4 | None = None
    fineweb: FineWeb | None = None

    def __post_init__(self) -> None:
        if self.counting not in ("compat", "paper"):
            raise ConfigError("counting is compat or paper", seen=self.counting)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        wanted = (
            figure.REPETITION * (self.repetition is not None)
            | figure.QUALITY * (self.quality is not None)
            | figure.C4 * (self.c4 is not None)
            | figure.FINEWEB * (self.fineweb is not None)
        )
        data, offsets = buffers.views(batch.column(record.TEXT))
        judged = batch.column(record.DROP).is_null().to_numpy(zero_copy_only=False)
        lines = self.c4 or C4()
        values = figure.figures(
            data, offsets, judged,
            wanted=wanted,
            cut=self.counting == "compat",
            c4_lines=(lines.lines_end_in_marks, lines.min_line_words, lines.max_word),
        )  # fmt: skip
        of = {name: values[:, column] for column, name in enumerate(figure.FIGURES)}
        for group, names in figure.GROUPS.items():
            if wanted & group:
                for name in names:
                    batch = operator.with_column(
                        batch, f"rules.{name}", buffers.floats(of[name], judged)
                    )
        first = np.zeros(len(judged), dtype=np.int32)  # 0: none; the first cause to fire stays
        causes: list[str | None] = [None]
        for cause, fires in self._broken(of, np.diff(offsets) == 0):
            first[fires & judged & (first == 0)] = len(causes)
            causes.append(f"rules.{cause}")
        fresh = pa.array(causes, type=pa.string()).take(pa.array(first))
        drop = pc.coalesce(batch.column(record.DROP), fresh)
        return operator.with_column(batch, record.DROP, drop)

    def _broken(
        self, of: Mapping[str, npt.NDArray[np.float64]], empty: Mask
    ) -> Iterator[tuple[str, Mask]]:
        """Each limit and who breaks it, in the order datatrove asks."""
        yield "empty", empty
        if self.repetition is not None:
            for limit in dataclasses.fields(Repetition):
                yield limit.name, of[limit.name] > getattr(self.repetition, limit.name)
        if self.quality is not None:
            yield from _beyond(self.quality, of)
        if self.c4 is not None:
            if self.c4.lorem:
                yield "lorem", of["c4_lorem"] > 0
            if self.c4.curly:
                yield "curly", of["c4_curly"] > 0
            yield "min_sentences", of["c4_sentences"] < self.c4.min_sentences
        if self.fineweb is not None:
            yield "min_line_ends", of["fineweb_line_ends"] < self.fineweb.min_line_ends
            yield "max_short_lines", of["fineweb_short_lines"] > self.fineweb.max_short_lines
            yield "max_dup_chars", of["fineweb_dup_chars"] > self.fineweb.max_dup_chars
            yield "max_newlines", of["fineweb_newlines"] > self.fineweb.max_newlines


def _beyond(
    limits: Quality, of: Mapping[str, npt.NDArray[np.float64]]
) -> Iterator[tuple[str, Mask]]:
    for limit in dataclasses.fields(limits):
        side, _, name = limit.name.partition("_")
        value = getattr(limits, limit.name)
        yield limit.name, of[name] < value if side == "min" else of[name] > value
