"""What there is to say of a snapshot, for the cards: counted from its records and read off its manifest.

What the ledger knows besides (which step made what, from which source settings) is handed in as `Made` and
`Gauge`: this room does not read ledgers. Knows no format of a card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.core.asset import Snapshot
from tenfold.core.segment import read_batches
from tenfold.data import record
from tenfold.data.hub.stage import columns_of
from tenfold.data.out.split import Split, columns_for, sides_of

LANGUAGE = "language.label"
WRITTEN_ONLY = Split(heldout_share=0.0)
"""The rule of exports: what no operator and no source holds out is `train`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What only its owner can say of a dataset."""

    name: str
    description: str = ""
    """Empty: one is made of the facts."""
    creator: str = ""
    url: str = ""
    published: str = ""
    """The day, `2026-11-21`."""
    version: str = "1.0.0"
    """Major.minor.patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One step on the way from the sources, as the ledger has it."""

    asset: str
    digest: str
    kind: str
    step: str
    version: str
    config: Mapping[str, Any]
    finished: str
    """ISO 8601, UTC; empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A figure that a report measured on the snapshot."""

    report: str
    name: str
    value: float
    unit: str = ""
    low: float | None = None
    """The interval, where the report gives one."""
    high: float | None = None


@dataclass(slots=True, kw_only=True)
class SourceFacts:
    name: str
    records: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    authority: float = 0.0
    """The highest of its records."""
    first: datetime | None = None
    last: datetime | None = None
    kind: str = ""
    """Of the connector; empty: the lineage does not say."""
    place: str = ""
    """Where it was read from, without credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    digest: str
    modality: str
    records: int
    num_bytes: int
    """As they are stored, compressed."""
    columns: pa.Schema
    sources: Sequence[SourceFacts]
    """By name."""
    licences: Mapping[str, int]
    splits: Mapping[str, int]
    languages: Mapping[str, int]
    """Label -> records, where the language was looked for."""
    marked: Mapping[str, int]
    """Cause -> records marked, but not taken out."""
    lost: Mapping[str, int]
    quarantine: Mapping[str, int]
    recipe: Sequence[Mapping[str, Any]]
    parents: Sequence[str]
    made: Sequence[Made]
    gauges: Sequence[Gauge]

    def did(self, *names: str) -> bool:
        """Whether an operator of one of these names was applied."""
        return any(each["name"] in names for each in self.recipe)


def facts_of(snapshot: Snapshot, made: Sequence[Made] = (), gauges: Sequence[Gauge] = ()) -> Facts:
    """Reads the columns about records, never the payload."""
    sources: dict[str, SourceFacts] = {}
    splits: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    segments = snapshot.segments()
    schema = pa.schema([])
    about = [record.SOURCE, record.LICENCE, record.AUTHORITY, record.TIME]
    for segment in segments:
        path = snapshot.path(segment.file)
        names = columns_of(path)
        schema = pq.read_schema(path).remove_metadata()
        language = [LANGUAGE] if LANGUAGE in names else []
        for batch in read_batches(path, [*columns_for(names), *about, *language], kept_only=True):
            splits.update(sides_of(batch, WRITTEN_ONLY).to_pylist())
            if language:
                languages.update(batch.column(LANGUAGE).drop_null().to_pylist())
            licences.update(batch.column(record.LICENCE).to_pylist())
            _count(sources, batch.select(about))
    _locate(sources, made)
    content = snapshot.content
    return Facts(
        digest=snapshot.digest,
        modality=content["modality"],
        records=snapshot.count,
        num_bytes=sum(segment.num_bytes for segment in segments),
        columns=schema,
        sources=[sources[name] for name in sorted(sources)],
        licences=dict(sorted(licences.items())),
        splits=dict(sorted(splits.items(), reverse=True)),
        languages=dict(languages.most_common()),
        marked=content["drops"],
        lost=content["lost"],
        quarantine=content["quarantine"],
        recipe=content["recipe"]["steps"],
        parents=content["parents"],
        made=made,
        gauges=gauges,
    )


def _count(sources: dict[str, SourceFacts], batch: pa.RecordBatch) -> None:
    grouped = pa.Table.from_batches([batch]).group_by([record.SOURCE, record.LICENCE])
    sums = grouped.aggregate(
        [([], "count_all"), (record.AUTHORITY, "max"), (record.TIME, "min"), (record.TIME, "max")]
    )
    for row in sums.to_pylist():
        found = sources.setdefault(row[record.SOURCE], SourceFacts(name=row[record.SOURCE]))
        found.records += row["count_all"]
        found.licences[row[record.LICENCE]] += row["count_all"]
        found.authority = max(found.authority, round(row["authority_max"], 4))
        if row["time_min"] is not None:
            found.first = min(filter(None, (found.first, row["time_min"])))
            found.last = max(filter(None, (found.last, row["time_max"])))


def _locate(sources: Mapping[str, SourceFacts], made: Sequence[Made]) -> None:
    """Kind and place of each source, from the settings of the step that read it."""
    for each in made:
        for settings in each.config.get("sources") or ():
            place = str(settings.get("path") or settings.get("url") or "")
            found = sources.get(str(settings.get("name") or place))
            if found is not None:
                found.kind, found.place = str(settings["kind"]), public_place(place)


def public_place(place: str) -> str:
    """A URL without user, password and query; of an absolute path the last name; else as it is."""
    scheme, mark, rest = place.partition("://")
    if not mark:
        return PurePath(place).name if PurePath(place).is_absolute() else place
    if scheme == "file":
        return PurePath(rest).name
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
