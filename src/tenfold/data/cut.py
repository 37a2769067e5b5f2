"""`data.cut`: what is marked as dropped leaves, with a line for each in the drop ledger.

The last step over a snapshot: limits over the figures that operators wrote are set here, so tuning one again
computes no figure anew. Knows figures and causes by name only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tenfold.core.asset import Draft, FileRef, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Outside of them a record goes; without the figure it stays."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ConfigError("a limit needs min or max")


@dataclass(frozen=True, slots=True, kw_only=True)
class CutConfig:
    """Which marks are applied, and which further limits."""

    limits: dict[str, Bounds] = field(default_factory=dict)
    """Column of a figure -> bounds. Its cause in the ledger is `cut.COLUMN`."""
    spare: tuple[str, ...] = ()
    """Causes that are not applied, `operator.rule`. A record has one cause, the first that fired: of what is
    spared, set limits over the figures of the rules that came after."""
    cluster: str = ""
    """As in data.refine."""


@step(version="1", name="data.cut", produces=Snapshot, resources=Resources(cpu=64))
def cut(records: Snapshot, ctx: Context, *, config: CutConfig) -> Draft:
    """Apply the drops. Metrics: records, kept, bytes, segments, lost, lost.<cause>. Raises InputError where
    nothing stays."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.hub.cut import LEDGER, CutJob, parts_of, run_cut
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import FILE, make
    from tenfold.data.hub.snapshot import derived

    limits = tuple(sorted((name, each.min, each.max) for name, each in config.limits.items()))
    spare = tuple(sorted(config.spare))
    jobs = [
        CutJob(segment.sha256, records.path(segment.file), limits, spare)
        for segment in records.segments()
    ]
    pieces = make(ctx, run_cut, jobs, executor(ctx.cpu, len(jobs), config.cluster), "cut")
    ledgers: dict[str, FileRef] = {}
    causes: Counter[str] = Counter()
    kept = []
    for piece in pieces:
        stays, goes = parts_of(piece.meta)
        kept.append((stays, piece.files[FILE]))
        causes.update(goes.drops)
        if goes.rows:
            ledgers[f"lost/{goes.sha256}.parquet"] = piece.files[LEDGER]
    if not any(segment.rows for segment, _ in kept):
        raise InputError(
            "no record is left",
            where=records.name,
            seen=dict(causes),
            hint="loosen the limits and rules that took most, named above",
        )
    settings = {"limits": [list(limit) for limit in limits], "spare": list(spare)}
    recipe = {"name": "data.cut", "version": cut.version, "parameters": settings}
    return derived(ctx, records, kept, [recipe], ledgers, causes)
