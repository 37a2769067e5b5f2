"""Records as examples in a report: a few that were kept, a few that were lost with their cause.

Read from the snapshot when the page is made, so that what has been erased since is not shown. Cut short, and
personal data with a shape taken out of text and places alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tenfold.core import pii
from tenfold.core.asset import Snapshot
from tenfold.core.segment import read_batches, read_rows
from tenfold.errors import TenfoldError

CHARACTERS = 280
_MET = 4000
"""Characters looked at: a find must not be cut in two by the end of an example."""
LOST = 12
_PER_CAUSE = 3
_FILES = 8
_PAYLOAD = ("text", "row")


class Example(NamedTuple):
    place: str
    source: str
    why: str
    text: str


def kept_ones(snapshot: Snapshot, chosen: Sequence[Mapping[str, Any]]) -> list[Example]:
    """Of `segment` and `row`; what is not there any more is left out."""
    by_segment: dict[str, list[int]] = {}
    for each in chosen:
        by_segment.setdefault(each["segment"], []).append(each["row"])
    found = []
    for segment, rows in by_segment.items():
        file = f"segments/{segment}.parquet"
        if file not in snapshot.files:
            continue
        try:
            met = read_rows(snapshot.path(file), rows, ["place", "source", *_PAYLOAD])
        except (TenfoldError, OSError):
            continue
        found += [_example(row, "kept") for row in met]
    return found


def lost_ones(snapshot: Snapshot) -> list[Example]:
    """By cause, at most three of each: what a cut took, and what could not be read."""
    found: dict[str, list[Example]] = {}
    files = sorted(name for name in snapshot.files if name.startswith(("lost/", "quarantine/")))
    for file in files[:_FILES]:
        try:
            for batch in read_batches(snapshot.path(file)):
                for row in batch.slice(0, 500).to_pylist():
                    cause = row.get("drop") or row.get("cause") or ""
                    some = found.setdefault(str(cause), [])
                    if len(some) < _PER_CAUSE:
                        some.append(_example(row, str(cause)))
                break  # the first rows of a file will do
        except (TenfoldError, OSError):
            continue
    return [each for _, some in sorted(found.items()) for each in some][:LOST]


def _example(row: Mapping[str, Any], why: str) -> Example:
    payload = row.get("text") or row.get("fact") or ""
    if not payload and row.get("row"):
        payload = json.dumps(row["row"], ensure_ascii=False, default=str)
    return Example(
        pii.redact(str(row.get("place") or "")),
        pii.redact(str(row.get("source") or "")),
        why,
        shown(str(payload)),
    )


def shown(text: str) -> str:
    """The first of it on one line, personal data as its kind."""
    met = text[:_MET]
    plain = " ".join(pii.redact(met).split())
    return plain if len(plain) <= CHARACTERS else plain[: CHARACTERS - 1] + "…"
