"""Data as the ledger knows it: what there is, what was lost on the way and why, and what two versions differ in.

A dataset is an asset that holds records, or an alias that points at one. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.core.facts import StepResult
from tenfold.queries.assets import resolve
from tenfold.queries.lineage import Ancestor, lineage
from tenfold.queries.past import Past, newest_by_asset

KINDS = ("snapshot", "corpus", "shards", "table")
_FATES = {
    "lost": "lost", "removed": "lost", "dropped": "marked", "quarantined": "unread",
}  # fmt: skip
"""What a metric `NAME.CAUSE` says became of records."""
_COUNTS = ("kept", "documents", "rows")
"""Where each kind says how many records it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of one asset that holds records."""

    name: str
    kind: str
    digest: str
    aliases: tuple[str, ...]
    step: str
    records: int
    num_bytes: int
    """In the store."""
    made_at_s: float
    licences: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Records that one cause kept out."""

    fate: str
    """`lost`: taken out; `marked`: still there; `unread`: never became a record."""
    cause: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    dataset: Dataset
    losses: tuple[Loss, ...]
    """The drop ledger: by fate, the largest first."""
    meta: Mapping[str, Any]
    steps: tuple[Ancestor, ...]
    """What it was made by, sources first; it is the last."""
    versions: tuple[Dataset, ...]
    """Under the same name, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    what: str
    """`records`, `bytes`, `licence`, or the fate of a loss."""
    name: str
    """The licence or the cause; empty for plain figures."""
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    before: Dataset
    after: Dataset
    changes: tuple[Change, ...]
    """What differs."""
    shared_bytes: int
    """Of `after` that are also in `before`: files of equal content."""
    steps: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...]
    """Steps that were set differently: (asset, settings before, settings after); empty where absent."""


def datasets(past: Past) -> list[Dataset]:
    """The newest version of each, by name."""
    found = newest_by_asset([r for r in past.results() if r.output.kind in KINDS])
    return [_dataset(past, found[name]) for name in sorted(found)]


def dataset_view(past: Past, name: str) -> DatasetView:
    """By alias, name or digest. Raises UnknownName, also for what holds no records."""
    result = resolve(past, name)
    versions = [r for r in past.results() if r.asset == result.asset and r.output.kind in KINDS]
    versions.sort(key=lambda version: version.finished_at_s, reverse=True)
    return DatasetView(
        dataset=_dataset(past, result),
        losses=tuple(_losses(past, result)),
        meta=dict(result.output.meta),
        steps=lineage(past, result).ancestors,
        versions=tuple(_dataset(past, version) for version in versions),
    )


def difference(past: Past, before: str, after: str) -> Difference:
    """From one to the other. Raises UnknownName."""
    sides = [resolve(past, name) for name in (before, after)]
    one, two = (_figures(past, side) for side in sides)
    changes = [
        Change(
            what=what, name=name, before=one.get((what, name), 0), after=two.get((what, name), 0)
        )
        for what, name in dict.fromkeys([*one, *two])
        if one.get((what, name), 0) != two.get((what, name), 0)
    ]
    contents = {ref.sha256 for ref in sides[0].output.files.values()}
    shared = {ref.sha256: ref.num_bytes for ref in sides[1].output.files.values()}
    settings = [
        {
            a.asset: {"step": f"{a.step} v{a.version}", **a.config}
            for a in lineage(past, s).ancestors
        }
        for s in sides
    ]
    return Difference(
        before=_dataset(past, sides[0]),
        after=_dataset(past, sides[1]),
        changes=tuple(changes),
        shared_bytes=sum(size for sha256, size in shared.items() if sha256 in contents),
        steps=tuple(
            (asset, settings[0].get(asset, {}), settings[1].get(asset, {}))
            for asset in dict.fromkeys([*settings[0], *settings[1]])
            if settings[0].get(asset) != settings[1].get(asset)
        ),
    )


def _dataset(past: Past, result: StepResult) -> Dataset:
    meta = result.output.meta
    licences = meta.get("licences")
    return Dataset(
        name=result.asset,
        kind=result.output.kind,
        digest=result.output.digest,
        aliases=past.pointing_at(result.output.digest),
        step=result.step,
        records=next((int(meta[name]) for name in _COUNTS if name in meta), 0),
        num_bytes=result.output.num_bytes,
        made_at_s=result.finished_at_s,
        licences=dict(licences) if isinstance(licences, Mapping) else {},
    )


def _losses(past: Past, result: StepResult) -> list[Loss]:
    found = []
    for name, metric in past.scalars([result.key]).get(result.key, {}).items():
        prefix, _, cause = name.partition(".")
        if cause and prefix in _FATES:
            found.append(Loss(fate=_FATES[prefix], cause=cause, records=int(metric.value)))
    order = list(dict.fromkeys(_FATES.values()))
    return sorted(found, key=lambda loss: (order.index(loss.fate), -loss.records, loss.cause))


def _figures(past: Past, result: StepResult) -> dict[tuple[str, str], float]:
    found = _dataset(past, result)
    return {
        ("records", ""): found.records,
        ("bytes", ""): found.num_bytes,
        **{("licence", name): count for name, count in found.licences.items()},
        **{(loss.fate, loss.cause): loss.records for loss in _losses(past, result)},
    }
