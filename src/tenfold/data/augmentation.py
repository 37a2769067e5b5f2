"""`data.augment`: a snapshot with children of its records, each marked with parent, operator and seed.

Held-out and dropped records have none. Segment by segment, each made once for the same operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.data.hub import catalogue
from tenfold.errors import ConfigError
from tenfold.need import need


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """What is made of every record."""

    operators: tuple[str | dict[str, dict[str, Any]], ...]
    """Each a name, or `name: {parameter: value}`: `image.augment`, `text.slips`, `text.templates`."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        if not self.operators:
            raise ConfigError("operators must name at least one operator")
        catalogue.check(self.operators, "operators")


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, str]:
    """The operators' versions and keys: a raised or another one makes the snapshot stale."""
    return catalogue.observe(config["operators"], directory)


@step(
    version="1",
    name="data.augment",
    produces=Snapshot,
    resources=Resources(cpu=64),
    observe=observe,
)
def augment(records: Snapshot, ctx: Context, *, config: AugmentConfig) -> Draft:
    """Add children. Metrics: records, kept, bytes, segments, children."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data import operator
    from tenfold.data.augment.stage import AugmentJob, run_augment
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of
    from tenfold.data.hub.snapshot import derived
    from tenfold.data.hub.stage import check_order, columns_of

    chosen = catalogue.operators(config.operators, "data.augment.operators", ctx)
    for each in chosen:
        if not hasattr(each, "copies"):
            raise ConfigError(
                f"the operator {each.name} makes no children",
                hint="operators that judge go into data.refine",
            )
    segments = records.segments()
    jobs = [AugmentJob(segment.sha256, records.path(segment.file), chosen) for segment in segments]
    if jobs:
        check_order(chosen, columns_of(jobs[0].path))
    pieces = make(ctx, run_augment, jobs, executor(ctx.cpu, len(jobs), config.cluster), "augment")
    parts = [part_of(piece) for piece in pieces]
    before = sum(segment.rows for segment in segments)
    ctx.metric("children", sum(part.segment.rows for part in parts) - before, unit="records")
    recipe = [operator.identity(each) for each in chosen]
    return derived(ctx, records, [(part.segment, part.ref) for part in parts], recipe)
