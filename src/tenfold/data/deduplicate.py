"""`data.dedup`: duplicates in a snapshot are marked, with who stays for them; `data.cut` takes them out.

Who stays is a rule, never "first seen": authority, then freshness, then length. What the rungs are is in
`data/dedup`; here they run over segments, whatever the size of the snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

_PARTITION_BYTES = 64 << 20
"""Of the files of a snapshot, for each partition of a shuffle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupConfig:
    """How alike two texts must be for one of them to go."""

    near_threshold: float = 0.8
    """Jaccard similarity of word shingles, verified exactly, above 0 to 1; 0: only equal texts."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        if not 0 <= self.near_threshold <= 1:
            raise ConfigError("near_threshold must be between 0 and 1", seen=self.near_threshold)


@step(version="1", name="data.dedup", produces=Snapshot, resources=Resources(cpu=64))
def dedup(records: Snapshot, ctx: Context, *, config: DedupConfig) -> Draft:
    """Mark duplicates. Metrics: records, kept, dropped.dedup.exact, dropped.dedup.near. Raises InputError for
    records that are no texts."""
    need("numba", extra="data", why="to hash the words of texts")
    from tenfold.data.dedup.near import Near
    from tenfold.data.hub.duplicates import VERSION, DedupJob, run_dedup
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of
    from tenfold.data.hub.snapshot import derived

    if records.meta["modality"] != "text":
        raise InputError(
            "duplicates are searched for among texts",
            where=records.name,
            seen=records.meta["modality"],
        )
    near = Near(threshold=config.near_threshold) if config.near_threshold else None
    segments = [(each.sha256, records.path(each.file)) for each in records.segments()]
    partitions = max(1, math.ceil(records.meta["bytes"] / _PARTITION_BYTES))
    done = 0

    def made(kind: str, inputs: Sequence[dict[str, Any]]) -> list[Any]:
        nonlocal done
        jobs = [DedupJob(kind, near, partitions, **each) for each in inputs]
        span = (done / 6, (done + 1) / 6)
        done += 1
        runner = executor(ctx.cpu, len(jobs), config.cluster)
        return [part_of(each) for each in make(ctx, run_dedup, jobs, runner, kind, span=span)]

    def files(parts: Sequence[Any]) -> tuple[Any, ...]:
        return tuple((part.segment.sha256, part.path) for part in parts)

    each_segment = [{"number": n, "segment": segment} for n, segment in enumerate(segments)]
    keys = files(made("keys", each_segment))
    each_partition = range(partitions)
    forests = files(made("forests", [{"number": n, "files": keys} for n in each_partition]))
    groups = files(made("groups", [{"files": forests}]))
    members = files(made("members", [{**each, "files": groups} for each in each_segment]))
    judged = files(made("judged", [{"number": n, "files": members} for n in each_partition]))
    marked = made("marked", [{**each, "files": judged} for each in each_segment])
    recipe = {
        "name": "data.dedup",
        "version": VERSION,
        "parameters": {"near_threshold": config.near_threshold},
    }
    return derived(ctx, records, [(part.segment, part.ref) for part in marked], [recipe])
