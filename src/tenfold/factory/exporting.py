"""Data on its way out: cards from ledger and lineage, exports in formats of others, and a look at some records.

Joins what the ledger knows (steps, settings, figures of reports) with what the data room reads off a snapshot.
Knows no command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tenfold.core.asset import Asset, Corpus, Snapshot, Table, view
from tenfold.errors import UnknownName, UsageError
from tenfold.need import need
from tenfold.queries import Queries

if TYPE_CHECKING:
    from tenfold.data.out.facts import About, Facts
    from tenfold.factory.factory import Factory

FORMATS = ("hf", "croissant", "parquet", "jsonl")
_CARD = "data.card"
"""A step whose figures are those of the card itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What only the owner of a dataset can say; empty: what the factory knows, or nothing."""

    title: str = ""
    description: str = ""
    creator: str = ""
    url: str = ""
    version: str = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    folder: str
    format: str
    digest: str
    """Of the snapshot."""
    files: tuple[str, ...]
    splits: dict[str, int]
    """Split -> records."""
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    markdown: str
    croissant: dict[str, Any]
    lacks: tuple[str, ...]
    """Properties that Croissant requires and nobody said."""


def export(
    factory: Factory,
    name: str,
    form: str,
    folder: Path,
    *,
    owner: Owner,
    told: Callable[[float, str], None] = lambda done, note: None,
) -> Exported:
    """Write a snapshot (by name, alias or digest) into a new `folder`. `told`: share done, and of what.

    Raises UnknownName for a format that is none of FORMATS, UsageError for what is no snapshot or a folder
    that has something in it.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, FORMATS)
    need("pyarrow", extra="data", why="to read records")
    from tenfold.data.out import folder as folders

    snapshot, facts, about = _described(factory, name, owner)
    written = folders.export(snapshot, facts, about, folder, cast("folders.Format", form), told)
    return Exported(
        folder=str(folder),
        format=form,
        digest=snapshot.digest,
        files=tuple(file.name for file in written.files),
        splits=written.splits,
        num_bytes=sum(file.num_bytes for file in written.files),
    )


def cards(factory: Factory, name: str, *, owner: Owner) -> Cards:
    """Both cards of a snapshot as it lies in the store. Raises UnknownName, UsageError."""
    need("pyarrow", extra="data", why="to read records")
    from tenfold.data.out import card, croissant

    snapshot, facts, about = _described(factory, name, owner)
    files = croissant.files_of(snapshot)
    plain = croissant.croissant(facts, about, files, facts.columns)
    return Cards(
        markdown=card.card(facts, about),
        croissant=plain,
        lacks=tuple(croissant.required(plain)),
    )


def head(factory: Factory, name: str, count: int) -> list[dict[str, Any]]:
    """The first records of a snapshot, corpus or table, as plain JSON values; bytes as their number."""
    asset = _asset(factory, name)
    if isinstance(asset, Corpus):
        return [document.to_row() for document in islice(asset.documents(), count)]
    if isinstance(asset, Table):
        return list(islice(asset.rows(), count))
    if not isinstance(asset, Snapshot):
        raise UsageError(
            f"{name}: there are no records to show in {asset.manifest.kind}",
            hint="snapshots, corpora and tables have some: tenfold data list",
        )
    need("pyarrow", extra="data", why="to read records")
    from tenfold.data.out.folder import outside

    found: list[dict[str, Any]] = []
    for batch in asset.batches():
        rows = outside(batch.slice(0, count - len(found))).to_pylist()
        found += [{column: _plain(value) for column, value in row.items()} for row in rows]
        if len(found) >= count:
            break
    return found


def _described(factory: Factory, name: str, owner: Owner) -> tuple[Snapshot, Facts, About]:
    from tenfold.data.out.facts import About, Gauge, Made, facts_of

    snapshot = _asset(factory, name)
    if not isinstance(snapshot, Snapshot):
        raise UsageError(
            f"{name}: cards and exports are made of snapshots, not of {snapshot.manifest.kind}",
            hint="data.records makes a snapshot of a corpus",
        )
    seen = Queries(factory.ledger).asset(name)
    made = []
    for ancestor in seen.lineage.ancestors:
        result = factory.ledger.result(ancestor.key) if ancestor.key else None
        made.append(
            Made(
                asset=ancestor.asset,
                digest=ancestor.digest,
                kind=ancestor.kind,
                step=ancestor.step,
                version=ancestor.version,
                config=ancestor.config,
                finished=_moment(result.finished_at_s) if result else "",
            )
        )
    own = {use.asset for use in seen.used_by if use.step == _CARD}
    found = {
        (metric.asset, metric.name): metric
        for metric in seen.findings
        if metric.asset not in own and not metric.name.startswith("step.")
    }

    def bound(report: str, name: str) -> float | None:
        metric = found.get((report, name))
        return None if metric is None else metric.value

    gauges = [
        Gauge(
            report=report,
            name=name,
            value=metric.value,
            unit=metric.unit,
            low=bound(report, f"{name}.low"),
            high=bound(report, f"{name}.high"),
        )
        for (report, name), metric in found.items()
        if (report, name.removesuffix(".low").removesuffix(".high")) not in found
        or not name.endswith((".low", ".high"))
    ]
    about = About(
        name=owner.title or name.partition("@")[0],
        description=owner.description,
        creator=owner.creator or factory.name,
        url=owner.url,
        published=_moment(seen.result.finished_at_s)[:10],
        version=owner.version,
    )
    return snapshot, facts_of(snapshot, made, gauges), about


def _asset(factory: Factory, name: str) -> Asset:
    """By name, alias or digest."""
    result = Queries(factory.ledger).asset(name).result
    return view(result.asset, result.output, factory.blobs)


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value.isoformat() if isinstance(value, datetime) else value
