"""A target profile: what the records of a snapshot are wanted to be like, as texts, rows or image descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tenfold.core.asset import Asset, Corpus, Snapshot, Table
from tenfold.data import record
from tenfold.data.gauges.sample import WINDOW, draw
from tenfold.errors import InputError

_MET = 20_000
"""Documents or rows of a target that are read at most."""


@dataclass(frozen=True, slots=True)
class Profile:
    payload: str
    """`text`, `image` or `row`"""
    values: Sequence[Any]
    """None of them None."""


def profile(target: Asset, records: int) -> Profile:
    """At most `records` of a snapshot, a corpus or a table. Raises InputError for anything else."""
    if isinstance(target, Snapshot):
        sample = draw(target, records, columns=[record.TEXT, record.IMAGE, record.ROW])
        payload = next(
            (n for n in (record.TEXT, record.IMAGE, record.ROW) if sample.has(n)), "text"
        )
        values = [each for each in sample.column(payload) if each is not None]
    elif isinstance(target, Corpus):
        payload = record.TEXT
        values = _spread([d.text[:WINDOW] for d in islice(target.documents(), _MET)], records)
    elif isinstance(target, Table):
        payload = record.ROW
        values = _spread(list(islice(target.rows(), _MET)), records)
    else:
        raise InputError(
            "a target is a snapshot, a corpus or a table",
            where=target.name,
            seen=target.manifest.kind,
        )
    return Profile(payload, values)


def _spread(values: list[Any], most: int) -> list[Any]:
    """Equally spaced ones."""
    return values if len(values) <= most else [values[i * len(values) // most] for i in range(most)]
