"""`data.labels`: a snapshot with the labels that people gave, drawn from an exported label log.

Every record stays: one without a label, or with as many votes for one as for another, is marked as a drop
(`labels.none`, `labels.tie`) that `data.cut` applies or spares. Knows no page and no ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.facts import LabelEvent
from tenfold.core.step import Context, step
from tenfold.data.label.log import Ballots, ballots, from_lines
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    import pyarrow as pa

LABEL, SHARE, VOTES = "labels.label", "labels.share", "labels.votes"
"""Columns: the label; the share of votes for it, or how likely it is; how many voted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsConfig:
    labels: str
    """Label log (JSON Lines, `tenfold labels`), beside the factory file."""
    choices: tuple[str, ...]
    """Those of the queue; labels outside of them are left out and counted."""
    join: Literal["majority", "model"] = "majority"
    """How several labels of a record become one: by count, or weighted by how reliable each annotator proved."""
    least: int = 1
    """Votes a record needs, 1 or more."""

    def __post_init__(self) -> None:
        if len(set(self.choices)) < max(2, len(self.choices)):
            raise ConfigError("choices must be two or more, all different", seen=self.choices)
        if self.least < 1:
            raise ConfigError("least must be 1 or more", seen=self.least)


def observe(config: Mapping[str, Any], directory: str | Path) -> str:
    """Digest of the log; empty where there is none yet. Raises InputError for one that is named and not there."""
    name = config.get("labels", "")
    return hashlib.sha256(_path(name, directory).read_bytes()).hexdigest() if name else ""


def read_log(name: str, ctx: Context) -> list[LabelEvent]:
    """The events of the log `name` beside the factory file; none for an empty name. Raises InputError."""
    if not name:
        return []
    path = _path(name, ctx.scratch.get("directory", "."))
    return from_lines(path.read_text(encoding="utf-8").splitlines(), name)


@step(version="1", name="data.labels", produces=Snapshot, observe=observe)
def labels(records: Snapshot, ctx: Context, *, config: LabelsConfig) -> Draft:
    """Write labels into records. Metrics: those of a snapshot, labelled, stray (labels of records that are
    not here), annotators, agreement.percent, and agreement.alpha with its interval (.low, .high)."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.hub.keeping import keep_segment
    from tenfold.data.hub.snapshot import derived

    given = ballots(read_log(config.labels, ctx), config.choices)
    _agreement(ctx, given)
    joined = _joined(given, config)
    met: set[str] = set()
    segments = []
    for segment in records.segments():
        batches = _written(records.path(segment.file), joined, config, met)
        first = next(batches)
        segments.append(keep_segment(ctx, chain([first], batches), first.schema))
    ctx.metric("labelled", len(met & joined.keys()), unit="records")
    ctx.metric("stray", len(joined.keys() - met), unit="records")
    recipe = {"name": "data.labels", "version": labels.version, "parameters": asdict(config)}
    return derived(ctx, records, segments, [recipe])


def _path(name: str, directory: str | Path) -> Path:
    path = Path(directory) / name
    if not path.is_file():
        raise InputError(
            "the label log is not there", where=name, hint="tenfold labels QUEUE > " + name
        )
    return path


def _agreement(ctx: Context, given: Ballots) -> None:
    import numpy as np

    from tenfold.data.label.agreement import estimate, krippendorff_alpha, percent

    ctx.metric("annotators", len(given.annotators))
    table = np.array(given.votes, np.float64).reshape(len(given.records), len(given.annotators))
    table[table < 0] = np.nan
    alpha = estimate(krippendorff_alpha, table, seed=ctx.seed)
    if not alpha.items:
        return
    ctx.metric("agreement.percent", percent(table))
    for name, value in (("", alpha.value), (".low", alpha.low), (".high", alpha.high)):
        if value == value:  # undefined where only one label was ever given
            ctx.metric(f"agreement.alpha{name}", value)


def _joined(given: Ballots, config: LabelsConfig) -> dict[str, tuple[str | None, float, int]]:
    """Record -> label (None: a tie), its share, votes."""
    import numpy as np

    from tenfold.data.label.weak import label_model, majority

    if not given.records:
        return {}
    cast = np.array(given.votes, np.int64)
    size = len(given.choices)
    shares = majority(cast, size)
    if config.join == "model":
        shares = label_model(cast, size).probabilities
    best = shares.argmax(1)
    top = shares[np.arange(len(cast)), best]
    tied = (np.abs(shares - top[:, None]) < 1e-9).sum(1) > 1
    return {
        record: (None if tied[n] else given.choices[best[n]], float(top[n]), int((cast[n] >= 0).sum()))
        for n, record in enumerate(given.records)
    }  # fmt: skip


def _written(
    path: Path,
    joined: Mapping[str, tuple[str | None, float, int]],
    config: LabelsConfig,
    met: set[str],
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    from tenfold.core.segment import read_batches
    from tenfold.data import operator, record

    for batch in read_batches(path):
        ids = batch.column(record.ID).to_pylist()
        met.update(each for each in ids if each in joined)
        found = [joined.get(each, (None, 0.0, 0)) for each in ids]
        enough = [votes >= config.least for _, _, votes in found]
        label = [each[0] if ok else None for each, ok in zip(found, enough, strict=True)]
        share = [
            each[1] if name is not None else None for each, name in zip(found, label, strict=True)
        ]
        batch = operator.with_column(batch, LABEL, pa.array(label, pa.string()))
        batch = operator.with_column(batch, SHARE, pa.array(share, pa.float32()))
        votes = pa.array([each[2] for each in found], pa.int32())
        batch = operator.with_column(batch, VOTES, votes)
        tie = [ok and name is None for ok, name in zip(enough, label, strict=True)]
        batch = operator.dropped(batch, pa.array(tie, pa.bool_()), "labels.tie")
        none = [not ok for ok in enough]
        yield operator.dropped(batch, pa.array(none, pa.bool_()), "labels.none")
