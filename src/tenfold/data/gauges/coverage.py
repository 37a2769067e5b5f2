"""Coverage: which queries find an answer, which classes are there, how wide lengths, languages and times reach."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.data import record
from tenfold.data.gauges import statistic, tokens
from tenfold.data.gauges.gauge import Readings
from tenfold.data.gauges.sample import LENGTH, Sample

ENOUGH = 0.01
"""Share of records from which a language counts as covered."""
_SHOWN = 20


def coverage(
    sample: Sample,
    *,
    queries: Sequence[str],
    answered_at: float,
    classes: Mapping[str, Sequence[str]],
    languages: Sequence[str | None],
) -> Readings:
    """Gauges `coverage.*`. `answered_at`: containment from which a record answers a query. `classes`: column (or
    `row.NAME`, `meta.NAME`) -> the values that must be there; none named: those that are."""
    found = Readings()
    if queries:
        _queries(found, sample, queries, answered_at)
    for column, wanted in classes.items():
        _classes(found, sample, column, wanted)
    _languages(found, languages)
    _lengths(found, sample)
    _times(found, sample)
    return found


def _queries(found: Readings, sample: Sample, queries: Sequence[str], answered_at: float) -> None:
    best = containment(queries, [text or "" for text in sample.column(record.TEXT)])
    known = np.isfinite(best)
    if not known.any():
        found.absent["coverage.queries"] = "no query has a word"
        return
    found.blocks("coverage.queries", "share", best[known] >= answered_at, int(known.sum()))
    found.blocks("coverage.query_containment", "share", best[known], int(known.sum()))
    order = np.argsort(np.where(known, best, 2), kind="stable")[:_SHOWN]
    found.tables["queries"] = {
        "answered_at": answered_at,
        "records": len(sample),
        "worst": [[queries[i], float(best[i])] for i in order if known[i]],
    }


def containment(queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """Of each query the largest part of its words that one text holds, rare ones weighing more (the idf of BM25,
    Robertson & Zaragoza 2009, section 3.2). nan for a query without a word."""
    wanted = [set(tokens.words(query)) for query in queries]
    vocabulary = set().union(*wanted) if wanted else set()
    held = [set(tokens.words(text)) & vocabulary for text in texts]
    seen = Counter(term for terms in held for term in terms)
    weight = {
        term: math.log(1 + (len(texts) - seen[term] + 0.5) / (seen[term] + 0.5))
        for term in vocabulary
    }
    having: dict[Any, list[int]] = {}
    for row, terms in enumerate(held):
        for term in terms:
            having.setdefault(term, []).append(row)
    best = np.full(len(queries), np.nan)
    for number, terms in enumerate(wanted):
        if not terms:
            continue
        score = np.zeros(max(1, len(texts)))
        for term in sorted(terms):
            score[having.get(term, [])] += weight[term]
        best[number] = min(1.0, score.max() / sum(weight[term] for term in sorted(terms)))
    return best


def _classes(found: Readings, sample: Sample, column: str, wanted: Sequence[str]) -> None:
    labels = values_of(sample, column)
    shares = statistic.shares(labels)
    if not shares:
        found.absent[f"coverage.{column}.floor"] = "no record has a value there"
        return
    names = list(wanted) or list(shares)
    missing = [name for name in names if name not in shares]
    found.sampled(f"coverage.{column}.floor", "share",
                  statistic.smallest_share(labels, names), len(labels))  # fmt: skip
    # Absence from a part of the records proves nothing of the rest, so this has no interval.
    found.blocks(f"coverage.{column}.missing", "classes", [len(missing)], len(labels))
    found.blocks(f"coverage.{column}.slots", "share", [1 - len(missing) / len(names)], len(labels))
    found.tables.setdefault("classes", {})[column] = {
        "missing": missing,
        "shares": [[name, shares.get(name, 0.0)] for name in names[:_SHOWN]],
    }


def values_of(sample: Sample, column: str) -> list[str | None]:
    """Of a column of records, a field of `row` or of `meta`, as text."""
    place, _, name = column.partition(".")
    if sample.has(column) or place not in (record.ROW, record.META):
        found: Sequence[Any] = sample.column(column)
    elif place == record.ROW:
        found = [row.get(name) if row else None for row in sample.column(record.ROW)]
    else:
        found = [
            json.loads(meta).get(name) if meta else None for meta in sample.column(record.META)
        ]
    return [None if value is None else str(value) for value in found]


def _languages(found: Readings, languages: Sequence[str | None]) -> None:
    known, marks = statistic.counts(list(languages))
    if not known:
        return

    def covered(weights: Any) -> Any:
        totals = np.asarray((marks.T @ weights.T).T)
        return (totals >= ENOUGH * totals.sum(axis=1, keepdims=True)).sum(axis=1).astype(float)

    found.sampled("coverage.languages", "languages", covered, len(languages))


def _lengths(found: Readings, sample: Sample) -> None:
    if not sample.has(record.TEXT):
        return
    lengths = np.array([np.nan if n is None else n for n in sample.column(LENGTH)], float)
    for name, at in (("p5", 0.05), ("median", 0.5), ("p95", 0.95)):
        found.sampled(
            f"coverage.length_{name}", "characters", statistic.quantile(lengths, at), len(lengths)
        )
    bins = [int(math.log2(max(1.0, n))) if np.isfinite(n) else None for n in lengths]
    found.sampled("coverage.length_entropy", "bits", statistic.entropy(bins), len(lengths))
    shares = statistic.shares(bins)
    found.tables["lengths"] = [
        [1 << b, shares.get(b, 0.0)] for b in range(max(shares, default=0) + 1)
    ]


def _times(found: Readings, sample: Sample) -> None:
    times = [t for t in sample.column(record.TIME) if t is not None]
    if not times:
        return
    months = (
        np.array(sample.column(record.TIME), dtype="float64")
        if len(times) == len(sample)
        else np.array([np.nan if t is None else t for t in sample.column(record.TIME)])
    )
    known = np.isfinite(months)
    month = np.zeros(len(months), int)
    month[known] = (
        months[known].astype("int64").astype("datetime64[us]").astype("datetime64[M]").astype(int)
    )
    labels = [int(m) if k else None for m, k in zip(month, known, strict=True)]
    names, marks = statistic.counts(labels)
    order = np.array(names)

    def covered(weights: Any) -> Any:
        there = np.asarray((marks.T @ weights.T).T) > 0
        first = np.where(there, order, np.iinfo(int).max).min(axis=1)
        last = np.where(there, order, np.iinfo(int).min).max(axis=1)
        return np.where(there.any(axis=1), there.sum(axis=1) / (last - first + 1.0), np.nan)

    found.sampled("coverage.months_share", "share", covered, len(labels))
    shares = statistic.shares([m // 12 + 1970 if m is not None else None for m in labels])
    found.tables["years"] = [[year, share] for year, share in sorted(shares.items())]
