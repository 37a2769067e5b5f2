"""`data.dedup`: duplicates in a snapshot are marked, with who stays for them; `data.cut` takes them out.

Who stays is a rule, never "first seen". What the rungs are is in `data/dedup` for texts and in `data/images` for
images; here they run over segments, whatever the size of the snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    from tenfold.data.hub.job import Part

_PARTITION_BYTES = 64 << 20
"""Of the files of a snapshot, for each partition of a shuffle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupConfig:
    """How alike two records must be for one of them to go, and which."""

    near_threshold: float = 0.8
    """Texts: Jaccard similarity of word shingles, verified exactly, above 0 to 1; 0: only equal texts."""
    similar_threshold: float = 0.0
    """Texts: cosine of weighted letter sequences from which one goes though it may say something else, above 0
    to 1; 0: off. All that stays after the rungs before is compared in one job: 64 MB of text at most."""
    keep: tuple[Literal["authority", "newest", "oldest", "longest", "shortest"], ...] = (
        "authority",
        "newest",
        "longest",
    )
    """Texts: who stays, what counts most first; where all are equal, the smallest id. Of images the one of most
    authority stays, then the newest, the largest."""
    image_radius: int = 12
    """Images: bits of 64 in which the hashes of a candidate may differ, 0 to 31."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        for name in ("near_threshold", "similar_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be between 0 and 1", seen=getattr(self, name))
        if {"newest", "oldest"} <= set(self.keep) or {"longest", "shortest"} <= set(self.keep):
            raise ConfigError("keep names a figure in both orders", seen=list(self.keep))
        if not 0 <= self.image_radius <= 31:
            raise ConfigError("image_radius must be between 0 and 31", seen=self.image_radius)


@step(version="2", name="data.dedup", produces=Snapshot, resources=Resources(cpu=64))
def dedup(records: Snapshot, ctx: Context, *, config: DedupConfig) -> Draft:
    """Mark duplicates. Metrics: records, kept, dropped.dedup.exact, .near and .similar, or dropped.image.copy.
    Raises InputError for records that are neither texts nor images that `data.refine` looked at."""
    need("numba", extra="data", why="to hash the words of texts")
    from tenfold.data.hub.snapshot import derived

    rungs = {"text": _texts, "image": _images}.get(records.meta["modality"])
    if rungs is None:
        raise InputError(
            "duplicates are searched for among texts, or among images",
            where=records.name,
            seen=records.meta["modality"],
        )
    marked, recipe = rungs(records, ctx, config)
    return derived(ctx, records, [(part.segment, part.ref) for part in marked], [recipe])


Found = tuple[list["Part"], dict[str, Any]]
"""The marked segments, and what made them."""


def _texts(records: Snapshot, ctx: Context, config: DedupConfig) -> Found:
    from tenfold.data.dedup.ladder import Ladder
    from tenfold.data.dedup.near import Near
    from tenfold.data.dedup.similarity import Similar
    from tenfold.data.hub.duplicates import VERSION, DedupJob, run_dedup

    ladder = Ladder(
        near=Near(threshold=config.near_threshold) if config.near_threshold else None,
        similar=Similar(threshold=config.similar_threshold) if config.similar_threshold else None,
        keep=config.keep,
    )
    segments = _segments(records)
    partitions = _partitions(records)
    each_segment = [{"number": n, "segment": segment} for n, segment in enumerate(segments)]
    made = _maker(
        ctx, config, run_dedup, lambda kind, each: DedupJob(kind, ladder, partitions, **each), 7
    )
    keys = _files(made("keys", each_segment))
    each_partition = range(partitions)
    forests = _files(made("forests", [{"number": n, "files": keys} for n in each_partition]))
    groups = _files(made("groups", [{"files": forests}]))
    members = _files(made("members", [{**each, "files": groups} for each in each_segment]))
    judged = _files(made("judged", [{"number": n, "files": members} for n in each_partition]))
    if ladder.similar is not None:
        judged = _files(made("similar", [{"files": (*judged, *segments)}]))
    marked = made("marked", [{**each, "files": judged} for each in each_segment])
    parameters = {
        "near_threshold": config.near_threshold,
        "similar_threshold": config.similar_threshold,
        "keep": list(config.keep),
    }
    return marked, {"name": "data.dedup", "version": VERSION, "parameters": parameters}


def _images(records: Snapshot, ctx: Context, config: DedupConfig) -> Found:
    from tenfold.data.hub.copies import VERSION, CopiesJob, run_copies
    from tenfold.data.hub.stage import columns_of
    from tenfold.data.images.facts import SIGNATURE
    from tenfold.data.images.neardup import NearDuplicates

    segments = _segments(records)
    if SIGNATURE not in columns_of(segments[0][1]):
        raise InputError(
            "nobody has looked at these images yet",
            where=records.name,
            hint="put data.refine with the operator `image` before it",
        )
    measure = NearDuplicates(radius=config.image_radius)
    partitions = _partitions(records)
    each_segment = [{"number": n, "segment": segment} for n, segment in enumerate(segments)]
    made = _maker(
        ctx, config, run_copies, lambda kind, each: CopiesJob(kind, measure, partitions, **each), 5
    )
    hashes = _files(made("hashes", each_segment))
    groups = _files(made("alike", [{"files": hashes}]))
    pictures = _files(made("pictures", [{**each, "files": groups} for each in each_segment]))
    found = _files(made("compared", [{"number": n, "files": pictures} for n in range(partitions)]))
    marked = made("marked", [{**each, "files": found} for each in each_segment])
    parameters = {"image_radius": config.image_radius}
    return marked, {"name": "data.dedup.images", "version": VERSION, "parameters": parameters}


def _maker(
    ctx: Context,
    config: DedupConfig,
    function: Callable[..., Any],
    job_of: Callable[[str, dict[str, Any]], Any],
    rounds: int,
) -> Callable[[str, Sequence[dict[str, Any]]], list[Part]]:
    """Makes one round of jobs after the other; of `rounds`, for the progress."""
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of

    done = 0

    def made(kind: str, inputs: Sequence[dict[str, Any]]) -> list[Part]:
        nonlocal done
        jobs = [job_of(kind, each) for each in inputs]
        span = (done / rounds, (done + 1) / rounds)
        done += 1
        runner = executor(ctx.cpu, len(jobs), config.cluster)
        return [part_of(each) for each in make(ctx, function, jobs, runner, kind, span=span)]

    return made


def _segments(records: Snapshot) -> list[tuple[str, Any]]:
    return [(each.sha256, records.path(each.file)) for each in records.segments()]


def _partitions(records: Snapshot) -> int:
    return max(1, math.ceil(records.meta["bytes"] / _PARTITION_BYTES))


def _files(parts: Sequence[Part]) -> tuple[Any, ...]:
    return tuple((part.segment.sha256, part.path) for part in parts)
