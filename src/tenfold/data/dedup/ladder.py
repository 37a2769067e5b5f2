"""The rungs in order, for records that fit in memory: which of them go, for which that stay, and why.

Knows Arrow tables of records. Corpora larger than memory call the rungs themselves, with file shuffles between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tenfold.data import record
from tenfold.data.dedup.clusters import components, keep
from tenfold.data.dedup.exact import exact_keys, exact_twins
from tenfold.data.dedup.near import Near, near_pairs
from tenfold.data.dedup.precedence import KEEP, ranks
from tenfold.data.dedup.similarity import Similar, similar_pairs
from tenfold.data.dedup.texts import Texts, taken, texts_of

CAUSES = ("dedup.exact", "dedup.near", "dedup.similar")

Encoder = Callable[[pa.Array], np.ndarray]
"""Texts -> float vectors (num_texts, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How far up duplicates are searched for. Equal texts always are."""

    near: Near | None = field(default_factory=Near)
    """None: not for near ones."""
    similar: Similar | None = None
    """None: not for similar ones, which may say different things."""
    keep: tuple[str, ...] = KEEP
    """Who stays, as in `precedence`."""


@dataclass(frozen=True, slots=True)
class Findings:
    """One entry for each record, in the order of the records."""

    cause: pa.Array
    """One of CAUSES, or null: it stays."""
    twin: np.ndarray
    """int64: the row of the record that stays for it; its own where it stays itself"""
    similarity: np.ndarray
    """float64: to the twin, by the measure of the cause. Where the one it went for was taken by a later rung,
    the smaller of both steps"""
    cluster: np.ndarray
    """int64: the row of the best record that a chain of verified pairs leads to"""
    counts: dict[str, int]
    """Candidates, comparisons, large buckets, rounds."""


def duplicates(
    records: pa.Table, ladder: Ladder | None = None, *, encoder: Encoder | None = None
) -> Findings:
    """Which records (columns of `record.ABOUT` and `text`) are duplicates of which.

    The same findings for the same records in any order. Records that have been dropped already must not
    be among them: they would be kept in place of good ones."""
    ladder = ladder or Ladder()
    rank = ranks(records, ladder.keep)
    texts = texts_of(records[record.TEXT])
    num = len(rank)
    row_of = np.empty(num, np.int64)
    row_of[rank] = np.arange(num)

    twin = np.arange(num, dtype=np.int64)  # all four by rank
    similarity = np.ones(num)
    level = np.full(num, -1)
    joined: list[tuple[np.ndarray, np.ndarray]] = []
    counts: dict[str, int] = {}

    equal = exact_twins(exact_keys(texts), rank)
    gone = equal != rank
    twin[rank[gone]] = equal[gone]
    level[rank[gone]] = 0
    joined.append((equal[gone], rank[gone]))

    def climb(number: int, left: np.ndarray, right: np.ndarray, alike: np.ndarray) -> None:
        kept = keep(left, right, alike, num)
        going = np.flatnonzero(kept.twin != np.arange(num))
        twin[going], similarity[going], level[going] = (
            kept.twin[going],
            kept.similarity[going],
            number,
        )
        joined.append((left, right))

    for number, rung in ((1, ladder.near), (2, ladder.similar)):
        if rung is None:
            continue
        staying = np.flatnonzero(level < 0)
        part = taken_in_order(texts, row_of[staying])
        if isinstance(rung, Near):
            found = near_pairs(part, np.arange(len(staying)), rung)
            counts |= {
                "near.candidates": found.num_candidates,
                "near.compared": found.num_compared,
                "near.large_buckets": found.num_large,
                "near.rounds": found.rounds,
            }
            left, right, alike = found.left, found.right, found.similarity
        else:
            column = None if encoder is None else records[record.TEXT].take(row_of[staying])
            vectors = None if encoder is None else encoder(column)
            left, right, alike = similar_pairs(part, rung, vectors)
        climb(number, staying[left], staying[right], alike)

    # Who went for one that a later rung took now points to who stays for both.
    for _ in range(len(CAUSES)):
        similarity = np.minimum(similarity, similarity[twin])
        twin = twin[twin]
    cluster = components(
        np.concatenate([pair[0] for pair in joined]),
        np.concatenate([pair[1] for pair in joined]),
        num,
    )
    causes = pa.array([*CAUSES, None])
    return Findings(
        causes.take(pa.array(np.where(level < 0, len(CAUSES), level)[rank])),
        row_of[twin[rank]],
        similarity[rank],
        row_of[cluster[rank]],
        counts,
    )


def taken_in_order(texts: Texts, rows: np.ndarray) -> Texts:
    """As `taken`, without a copy where all rows stand as they are."""
    same = len(rows) == len(texts.offsets) - 1 and bool((rows == np.arange(len(rows))).all())
    return texts if same else taken(texts, rows)
