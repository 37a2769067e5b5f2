"""`data.decontaminate`: records that hold a part of an evaluation set are marked, under the set's name.

A hard gate: a set that cannot be read whole, or has nothing that could be found again, stops the step. Sets are
assets of the factory (corpora, tables, snapshots) or sources as `data.ingest` reads them. Knows how an
evaluation set becomes texts; what is looked for is in `dedup/decontaminate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Asset, Corpus, Draft, Piece, Snapshot, Table
from tenfold.core.step import Context, Resources, step
from tenfold.data.hub.signature import signature
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    import pyarrow as pa

    from tenfold.data.sources.connector import Connector

_OPERATOR = "tenfold.data.dedup.decontaminate:Decontaminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecontaminateConfig:
    """Which sets besides the assets that the step needs, and how much of one a record may hold."""

    sources: tuple[dict[str, Any], ...] = ()
    """Evaluation sets outside the factory: each with a `name` of its own (a part of the cause, without dots),
    `kind` and the settings of that kind, as in data.ingest. Of rows all text fields are joined."""
    words: int = 13
    """Length of the runs that are looked for, words."""
    least_words: int = 8
    """Items shorter than `words` are looked for whole, from this length on; 1 to `words`."""
    most_hits: int = 0
    """Different runs that a record may share with a set, 0 or more."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        if not 1 <= self.least_words <= self.words:
            raise ConfigError("least_words must be between 1 and words", seen=self.least_words)
        if self.most_hits < 0:
            raise ConfigError("most_hits must be 0 or more", seen=self.most_hits)
        for number, source in enumerate(self.sources):
            name = source.get("name")
            if not isinstance(name, str) or not name or "." in name:
                raise ConfigError(
                    "an evaluation set needs a name without dots",
                    where=f"sources[{number}]",
                    seen=name,
                )


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, Any]:
    """The version of the gate, and what each source looks like now."""
    said = signature(_OPERATOR)
    assert said is not None
    sources = [each.observe() for each in _connectors(config["sources"], Path(directory))]
    return {"version": said.version, "sources": sources}


@step(
    version="1",
    name="data.decontaminate",
    produces=Snapshot,
    resources=Resources(cpu=64),
    observe=observe,
)
def decontaminate(
    records: Snapshot, *sets: Asset, ctx: Context, config: DecontaminateConfig
) -> Draft:
    """Mark what evaluation sets hold. Metrics: records, kept, dropped.decontaminate.<set>, and of each set
    `<set>.items` and `<set>.too_short` (items that cannot be looked for)."""
    need("numba", extra="data", why="to hash the words of texts")
    from tenfold.data import operator
    from tenfold.data.dedup.decontaminate import Decontaminate
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of
    from tenfold.data.hub.snapshot import derived
    from tenfold.data.hub.stage import StageJob, run_stage

    indexes = _indexes(ctx, sets, config)
    for name, facts in indexes.meta["sets"].items():
        ctx.metric(f"{name}.items", facts["items"], unit="items")
        ctx.metric(f"{name}.too_short", facts["too_short"], unit="items")
    gate = Decontaminate(
        sets=tuple((name, facts["digest"]) for name, facts in indexes.meta["sets"].items()),
        folder=str(indexes.folder()),
        most_hits=config.most_hits,
    )
    jobs = [StageJob(each.sha256, records.path(each.file), (gate,)) for each in records.segments()]
    pieces = make(
        ctx, run_stage, jobs, executor(ctx.cpu, len(jobs), config.cluster), "decontaminate"
    )
    parts = [part_of(piece) for piece in pieces]
    recipe = [operator.identity(gate)]
    return derived(ctx, records, [(part.segment, part.ref) for part in parts], recipe)


def _indexes(ctx: Context, sets: Sequence[Asset], config: DecontaminateConfig) -> Asset:
    """The n-grams of all sets, kept: they are made once for what the sets hold."""
    from tenfold.data.dedup.decontaminate import eval_index
    from tenfold.data.hub.job import job_key

    connectors = _connectors(config.sources, Path(ctx.scratch.get("directory", ".")))
    everything: list[Asset | Connector] = [*sets, *connectors]
    names = [each.name for each in everything]
    if not names:
        raise ConfigError(
            "no evaluation set", hint="name assets in `needs`, after the records, or `sources`"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError("two evaluation sets have one name", seen=twice[0])
    key = job_key(
        "evaluation",
        assets=[[each.name, each.digest] for each in sets],
        sources=[
            [dict(settings), each.observe()]
            for settings, each in zip(config.sources, connectors, strict=True)
        ],
        words=[config.least_words, config.words],
    )
    if (kept := ctx.piece(key)) is not None:
        return kept
    draft = ctx.draft(Piece.kind)
    facts = {}
    for each in everything:
        texts = _items(each) if isinstance(each, Asset) else _read(each)
        index = eval_index(each.name, texts, words=config.words, least_words=config.least_words)
        index.save(draft.path(f"{index.digest}.npy").parent)
        facts[each.name] = {
            "digest": index.digest,
            "items": index.num_items,
            "too_short": index.num_short,
        }
    draft.meta.update(sets=facts)
    return ctx.keep(key, draft)


def _items(asset: Asset) -> pa.Array:
    import pyarrow as pa

    if isinstance(asset, Corpus):
        return pa.array((each.text for each in asset.documents()), pa.string())
    if isinstance(asset, Table):
        return pa.array((_joined(row.values()) for row in asset.rows()), pa.string())
    if isinstance(asset, Snapshot) and asset.meta["modality"] in ("text", "row"):
        return pa.array(_texts(asset.batches([asset.meta["modality"]])), pa.string())
    raise InputError(
        "an evaluation set is a corpus, a table, or a snapshot of texts or rows",
        where=asset.name,
        seen=asset.manifest.kind,
    )


def _read(source: Connector) -> pa.Array:
    """Raises InputError for a set of which anything cannot be read: what is missing would pass the gate."""
    import pyarrow as pa

    from tenfold.data.sources.connector import Quarantined, Reading

    def batches() -> Iterator[pa.RecordBatch]:
        for item in Reading(source):
            if isinstance(item, Quarantined):
                raise InputError(
                    f"an evaluation set cannot be read whole: {item.fact}",
                    where=f"{source.name}: {item.place}",
                    seen=item.cause,
                )
            yield item.select(item.schema.names[-1:])

    return pa.array(_texts(batches()), pa.string())


def _texts(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    for batch in batches:
        for value in batch.column(0).to_pylist():
            if isinstance(value, dict):
                yield _joined(value.values())
            elif isinstance(value, str):
                yield value


def _joined(values: Iterable[Any]) -> str:
    return " ".join(value for value in values if isinstance(value, str))


def _connectors(sources: Sequence[Mapping[str, Any]], directory: Path) -> list[Connector]:
    if not sources:
        return []
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.sources.kinds import connector

    return [
        connector(settings, where=f"sources[{number}]", directory=str(directory))
        for number, settings in enumerate(sources)
    ]
