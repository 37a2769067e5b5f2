"""Diversity: of sources, languages and licences, of n-grams, and how many different records there are in effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.data import record
from tenfold.data.gauges import statistic, tokens, vectors
from tenfold.data.gauges.gauge import Readings
from tenfold.data.gauges.sample import Sample
from tenfold.data.gauges.vendi import likeness, vendi

MAX_BLOCKS = 24
"""Of words, and of records: enough for an interval, and what bounds the work."""
CATEGORIES = 50
"""A column of a table with more values than this is not a category."""
_SHOWN = 12


def diversity(
    sample: Sample, *, words: int, block: int, languages: Sequence[str | None]
) -> Readings:
    """Gauges `diversity.*`. `words`: in a block for distinct n-grams. `block`: records in one for the Vendi
    score and joint entropy. `languages`: of the first records of the sample, None where unknown."""
    found = Readings()
    for name, labels in (
        ("source", sample.column(record.SOURCE)),
        ("licence", sample.column(record.LICENCE)),
        ("language", languages),
    ):
        if not any(label is not None for label in labels):
            continue
        found.sampled(f"diversity.{name}_entropy", "bits", statistic.entropy(labels), len(labels))
        top = list(statistic.shares(labels).items())
        rest = sum(share for _, share in top[_SHOWN:])
        found.tables[f"{name}_shares"] = [[str(label), share] for label, share in top[:_SHOWN]] + (
            [[f"{len(top) - _SHOWN} others", rest]] if rest else []
        )
    if sample.has(record.TEXT):
        _ngrams(found, sample.column(record.TEXT), words)
    if sample.has(record.ROW):
        _joint(found, [row for row in sample.column(record.ROW) if row is not None], block)
    _vendi(found, sample, block)
    return found


def _ngrams(found: Readings, texts: Sequence[str | None], size: int) -> None:
    numbers = tokens.numbered(texts, size * MAX_BLOCKS)
    blocks = tokens.blocks(numbers, size)[:MAX_BLOCKS]
    for order in tokens.ORDERS:
        name = f"diversity.distinct_{order}"
        if not blocks:
            total = sum(map(len, numbers))
            found.absent[name] = f"{total} words in the sample, a block has {size}"
            continue
        values = [tokens.distinct(block, order) for block in blocks]
        found.blocks(name, "share", values, len(numbers))


def _vendi(found: Readings, sample: Sample, size: int) -> None:
    payload = next((n for n in (record.TEXT, record.IMAGE, record.ROW) if sample.has(n)), None)
    present = [each for each in sample.column(payload or "") if each is not None]
    present = present[: size * MAX_BLOCKS]
    if len(present) < size:
        found.absent["diversity.vendi"] = f"{len(present)} records to compare, a block has {size}"
        return
    made = payload_vectors(payload or "", present)
    values = [vendi(likeness(made[at : at + size])) for at in range(0, len(made) - size + 1, size)]
    found.blocks("diversity.vendi", "", values, len(values) * size)


def payload_vectors(payload: str, values: Sequence[Any]) -> vectors.Vectors:
    """Of texts, rows or image descriptors, none of them None."""
    if payload == record.TEXT:
        return vectors.texts(values)
    if payload == record.IMAGE:
        return vectors.images(values)
    return vectors.rows(values, vectors.edges(values))


def _joint(found: Readings, rows: Sequence[dict[str, Any]], size: int) -> None:
    names = categories(rows)
    if not names:
        found.absent["diversity.joint_entropy"] = "no column of categories"
        return
    if len(rows) < size:
        found.absent["diversity.joint_entropy"] = f"{len(rows)} rows, a block has {size}"
        return
    values = []
    for at in range(0, min(len(rows), size * MAX_BLOCKS) - size + 1, size):
        cells = [tuple(str(row.get(name)) for name in names) for row in rows[at : at + size]]
        _, marks = statistic.counts(cells)
        values.append(float(statistic.entropies(np.asarray(marks.sum(axis=0)))[0]))
    found.blocks("diversity.joint_entropy", "bits", values, len(values) * size)
    found.tables["categories"] = names


def categories(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Columns with 2 to CATEGORIES values, none of them a number with a fraction."""
    seen: dict[str, set[Any]] = {}
    for row in rows:
        for name, value in row.items():
            kinds = seen.setdefault(name, set())
            if value is not None and len(kinds) <= CATEGORIES:
                kinds.add(value if isinstance(value, str | bool | int) else ("other", str(value)))
    return [
        name
        for name, values in seen.items()
        if 2 <= len(values) <= CATEGORIES and not any(isinstance(v, tuple) for v in values)
    ]
