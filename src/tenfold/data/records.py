"""`data.records`: a corpus as a source of the hub: its documents become records of a snapshot.

A document's source is where the record is found again; its id, split and meta go along in `meta`, so what was held
out stays held out. Knows no other source: those are `data.ingest`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.core.asset import Corpus, Draft, Snapshot
from tenfold.core.segment import Segment
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsConfig:
    """How the corpus is trusted, and how its records are laid down."""

    source: str = ""
    """What the records name as their source; empty: the name of the corpus."""
    authority: float = 0.5
    """0 to 1."""
    segment_megabytes: int = 192
    """As in data.ingest."""

    def __post_init__(self) -> None:
        if not 0 <= self.authority <= 1:
            raise ConfigError("authority must be between 0 and 1", seen=self.authority)
        if not 1 <= self.segment_megabytes <= 1024:
            raise ConfigError(
                "segment_megabytes must be between 1 and 1024", seen=self.segment_megabytes
            )


@step(version="1", name="data.records", produces=Snapshot, resources=Resources(cpu=1))
def records(corpus: Corpus, ctx: Context, *, config: RecordsConfig) -> Draft:
    """Take over every document. Metrics as data.ingest. Raises InputError for an empty corpus."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.hub.executor import Serial
    from tenfold.data.hub.job import make
    from tenfold.data.hub.reading import QUARANTINE, ReadingJob, read_source
    from tenfold.data.hub.snapshot import Origin, write_snapshot
    from tenfold.data.out.corpus_source import CorpusSource

    name = config.source or corpus.name
    source = CorpusSource(name=name, path=corpus.path(Corpus.FILE), authority=config.authority)
    settings = {"name": name, "authority": config.authority}
    observed = corpus.files[Corpus.FILE].sha256
    job = ReadingJob(source, settings, observed, config.segment_megabytes << 20)
    [piece] = make(ctx, read_source, [job], Serial(), "records")
    found = [Segment.from_json(plain) for plain in piece.meta["segments"]]
    if not found:
        raise InputError("the corpus has no document", where=corpus.name)
    draft = ctx.draft(Snapshot.kind)
    if ref := piece.files.get(QUARANTINE):
        draft.include(f"quarantine/{ref.sha256}.parquet", ref)
    recipe = {"name": "data.records", "version": records.version, "parameters": settings}
    origin = Origin(
        modality="text",
        recipe=[recipe],
        parents=[corpus.digest],
        quarantine=piece.meta["quarantine"],
    )
    pairs = [(each, piece.files[f"{each.sha256}.parquet"]) for each in found]
    return write_snapshot(ctx, draft, pairs, origin)
