"""`data.corpus`: the texts of a snapshot as a corpus, for every stage that reads documents.

What is held out is decided as in `data.shards`, so both give the same documents on the same sides in the same
order. A corpus is one file written in one stream: what is too large for that is trained on as shards.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Corpus, Document, Draft, Snapshot
from tenfold.core.segment import read_batches
from tenfold.core.step import Context, Resources, step
from tenfold.data.shards import observe, require_texts
from tenfold.errors import ConfigError
from tenfold.need import need

if TYPE_CHECKING:
    from tenfold.data.out.split import Split

RECORD = "record"
"""The key in a document's `meta` for what its record said of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusConfig:
    """What is held out of training."""

    heldout_share: float = 0.05
    """As in data.shards."""

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_share <= 0.5:
            raise ConfigError("heldout_share must be between 0 and 0.5", seen=self.heldout_share)


@step(
    version="1",
    name="data.corpus",
    produces=Corpus,
    resources=Resources(cpu=1),
    observe=observe,
)
def corpus(records: Snapshot, ctx: Context, *, config: CorpusConfig) -> Draft:
    """Write documents: id, text, licence of the record; its place as source; its meta in `meta`, and there
    under `record` its source and time. Metrics: documents, bytes, heldout.documents, heldout.bytes, licence.<name>."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.out.split import Split

    require_texts(records)
    sizes: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    total = max(1, records.count)

    def counted() -> Iterator[Document]:
        rule = Split(heldout_share=config.heldout_share)
        for number, document in enumerate(documents(records, rule), 1):
            if number % 1000 == 0:
                ctx.progress(number, total, "documents")
            splits[document.split] += 1
            sizes[document.split] += len(document.text.encode())
            sources[document.meta[RECORD]["source"]] += 1
            yield document

    draft = Corpus.write(ctx.draft(Corpus.kind), counted())
    draft.meta.update(
        bytes=sizes.total(),
        heldout_documents=splits["heldout"],
        sources=dict(sorted(sources.items())),
        splits=dict(sorted(splits.items())),
        removed=dict(records.content["lost"]),
    )
    ctx.metric("documents", splits.total(), unit="documents")
    ctx.metric("bytes", sizes.total(), unit="bytes")
    ctx.metric("heldout.documents", splits["heldout"], unit="documents")
    ctx.metric("heldout.bytes", sizes["heldout"], unit="bytes")
    for licence, count in draft.meta["licences"].items():
        ctx.metric(f"licence.{licence}", count, unit="documents")
    return draft


def documents(records: Snapshot, rule: Split) -> Iterator[Document]:
    """Of every kept record, in the order of the snapshot."""
    from tenfold.data import record
    from tenfold.data.hub.stage import columns_of
    from tenfold.data.out.split import SPLIT, columns_for, sides_of

    about = [record.SOURCE, record.PLACE, record.TIME, record.LICENCE, record.TEXT]
    for segment in records.segments():
        path = records.path(segment.file)
        wanted = [*columns_for(columns_of(path)), *about]
        for batch in read_batches(path, wanted, kept_only=True):
            sides = sides_of(batch, rule).to_pylist()
            for row, side in zip(
                batch.select([record.ID, record.META, *about]).to_pylist(), sides, strict=True
            ):
                meta: dict[str, Any] = json.loads(row[record.META]) if row[record.META] else {}
                meta.pop(SPLIT, None)
                meta[RECORD] = {"source": row[record.SOURCE]}
                if row[record.TIME] is not None:
                    meta[RECORD]["time"] = row[record.TIME].isoformat()
                yield Document(
                    id=row[record.ID],
                    text=row[record.TEXT] or "",
                    source=row[record.PLACE],
                    licence=row[record.LICENCE],
                    split=side,
                    meta=meta,
                )
