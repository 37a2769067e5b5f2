"""`data.ingest`: records from the outside world into a snapshot, whatever they were: files, tables, the web.

`observe` makes what the sources look like part of the key. What cannot be read is counted under its cause and
kept with its place in `quarantine/`; nothing is lost silently. It does not clean: that is `data.refine`. Knows
sources by their contract only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Asset, Draft, FileRef, Snapshot
from tenfold.core.segment import Segment
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    from tenfold.data.sources.connector import Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Which sources, and how their records are laid down."""

    sources: tuple[dict[str, Any], ...]
    """Each with `kind` and the settings of that kind: docs/data.md lists them."""
    segment_megabytes: int = 192
    """Of records in memory, on average; on disk about a third of it. 1 to 1024."""
    min_readable_share: float = 0.0
    """Of each source; below it the step fails. 0 to 1."""
    grow: bool = False
    """Read on where the last reading of a source ended, instead of all of it anew. What was read stays, also
    what has been changed or taken away since. For files, and for tables and web services with `since`."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("sources must name at least one source")
        if not 1 <= self.segment_megabytes <= 1024:
            raise ConfigError(
                "segment_megabytes must be between 1 and 1024", seen=self.segment_megabytes
            )
        if not 0 <= self.min_readable_share <= 1:
            raise ConfigError(
                "min_readable_share must be between 0 and 1", seen=self.min_readable_share
            )


def observe(config: Mapping[str, Any], directory: str | Path) -> list[Any]:
    """What each source looks like now. Raises InputError for one that cannot be reached."""
    return [each.observe() for each in _connectors(config["sources"], Path(directory))]


@step(
    version="1",
    name="data.ingest",
    produces=Snapshot,
    resources=Resources(cpu=64),
    observe=observe,
)
def ingest(ctx: Context, *, config: IngestConfig) -> Draft:
    """Read every source. Metrics: records, bytes, segments, quarantined.<cause>, and per source its
    integration (`<source>.first_record_s`, `.readable_share`, ...)."""
    connectors = _connectors(config.sources, Path(ctx.scratch.get("directory", ".")))
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make
    from tenfold.data.hub.reached import can_grow, extended, quarantine_files, reached
    from tenfold.data.hub.reading import ReadingJob, read_source
    from tenfold.data.hub.snapshot import Origin, write_snapshot

    num_bytes = config.segment_megabytes << 20
    jobs = [
        ReadingJob(connector, settings, connector.observe(), num_bytes)
        for connector, settings in zip(connectors, config.sources, strict=True)
    ]
    growing = {
        number: reached(ctx, job.settings, num_bytes)
        for number, job in enumerate(jobs)
        if config.grow and can_grow(job.connector)
    }
    for number, before in growing.items():
        if before is not None:
            jobs[number] = replace(jobs[number], cursor=before.meta["cursor"])
    pieces = make(ctx, read_source, jobs, executor(ctx.cpu, len(jobs)), "ingest")
    _judge(ctx, connectors, pieces, config.min_readable_share)
    for number, before in growing.items():
        job = jobs[number]
        pieces[number] = extended(ctx, job.settings, num_bytes, before, pieces[number])
    draft = ctx.draft(Snapshot.kind)
    segments: list[tuple[Segment, FileRef]] = []
    quarantine: Counter[str] = Counter()
    modalities = set()
    for piece in pieces:
        if piece.meta["modality"]:
            modalities.add(piece.meta["modality"])
        quarantine.update(piece.meta["quarantine"])
        for plain in piece.meta["segments"]:
            segment = Segment.from_json(plain)
            segments.append((segment, piece.files[f"{segment.sha256}.parquet"]))
        for ref in quarantine_files(piece):
            draft.include(f"quarantine/{ref.sha256}.parquet", ref)
    if not segments:
        raise InputError(
            "nothing to ingest: no source holds a readable record",
            where="data.ingest",
            seen=dict(quarantine),
        )
    settings = {"segment_megabytes": config.segment_megabytes}
    recipe = {"name": "data.ingest", "version": ingest.version, "parameters": settings}
    [modality, *others] = sorted(modalities)
    origin = Origin(
        modality="mixed" if others else modality,
        recipe=[recipe],
        quarantine=quarantine,
        sources=_sources(connectors, pieces),
    )
    return write_snapshot(ctx, draft, segments, origin)


def _connectors(sources: Sequence[Mapping[str, Any]], directory: Path) -> list[Connector]:
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.sources.kinds import connector

    return [
        connector(settings, where=f"data.ingest.sources[{number}]", directory=str(directory))
        for number, settings in enumerate(sources)
    ]


def _sources(connectors: Sequence[Connector], pieces: Sequence[Asset]) -> dict[str, dict[str, Any]]:
    """What the gauges want to know of each; two readings under one name are one source."""
    found: dict[str, dict[str, Any]] = {}
    for source, piece in zip(connectors, pieces, strict=True):
        each = found.setdefault(source.name, {"records": 0, "quarantined": 0})
        each["half_life_days"] = source.half_life_days
        each["authority"] = source.authority
        # Of all that was ever read of it, not of this reading: a source that grows stays the same source.
        each["records"] += sum(segment["rows"] for segment in piece.meta["segments"])
        each["quarantined"] += sum(piece.meta["quarantine"].values())
        met = each["records"] + each["quarantined"]
        each["readable_share"] = each["records"] / met if met else 1.0
    return found


def _judge(
    ctx: Context, connectors: Sequence[Connector], pieces: Sequence[Asset], least: float
) -> None:
    for source, piece in zip(connectors, pieces, strict=True):
        found = piece.meta["integration"]
        for name, value in found.items():
            ctx.metric(f"{source.name}.{name}", value)
        if found["readable_share"] < least:
            raise InputError(
                f"too much of the source {source.name} could not be read",
                where="data.ingest.min_readable_share",
                seen=f"{found['readable_share']:.3f} readable; {piece.meta['quarantine']}",
                hint="look at the causes in `quarantine/`, or lower min_readable_share",
            )
