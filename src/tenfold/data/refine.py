"""`data.refine`: a snapshot with more columns: every record goes through a list of operators.

Nothing leaves here: operators write figures, and causes where a rule fires; `data.cut` applies them. Segment
by segment, each made once for the same operators: a snapshot with three new segments costs three. Knows
operators by name only.
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
class RefineConfig:
    """What is done to every record, in order."""

    operators: tuple[str | dict[str, dict[str, Any]], ...]
    """Each a name, or `name: {parameter: value}`. Operators that change text stand before those that judge it."""
    cluster: str = ""
    """Address of a Ray cluster (`auto`, `ray://host:10001`) that sees the store under the same path;
    empty: processes on this machine, as many as cores are granted."""

    def __post_init__(self) -> None:
        if not self.operators:
            raise ConfigError("operators must name at least one operator")
        catalogue.check(self.operators, "operators")


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, str]:
    """The operators' versions and keys: a raised or another one makes the snapshot stale."""
    return catalogue.observe(config["operators"], directory)


@step(
    version="1",
    name="data.refine",
    produces=Snapshot,
    resources=Resources(cpu=64),
    observe=observe,
)
def refine(records: Snapshot, ctx: Context, *, config: RefineConfig) -> Draft:
    """Run operators over every record. Metrics: records, kept, bytes, segments, dropped.<operator.rule>."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data import operator
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of
    from tenfold.data.hub.snapshot import derived
    from tenfold.data.hub.stage import StageJob, check_order, columns_of, run_stage

    chosen = catalogue.operators(config.operators, "data.refine.operators", ctx)
    segments = records.segments()
    jobs = [StageJob(segment.sha256, records.path(segment.file), chosen) for segment in segments]
    if jobs:
        check_order(chosen, columns_of(jobs[0].path))
    pieces = make(ctx, run_stage, jobs, executor(ctx.cpu, len(jobs), config.cluster), "refine")
    parts = [part_of(piece) for piece in pieces]
    recipe = [operator.identity(each) for each in chosen]
    return derived(ctx, records, [(part.segment, part.ref) for part in parts], recipe)
