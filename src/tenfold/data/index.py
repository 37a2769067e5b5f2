"""`data.index`: records made findable, as an asset of kind `index`.

Its folder is all that a gateway or an agent needs: `Index.open(asset.folder())`. Knows assets and settings;
how an index works is `data.retrieval`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tenfold.core.asset import Asset, Corpus, Draft, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need


class IndexAsset(Asset):
    """The files of an index. Meta: `records`, `snapshot` (digest of what was indexed)."""

    kind: ClassVar[str] = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStepConfig:
    """How words are weighed and letters hashed; how hits are ordered is said when searching."""

    k1: float = 1.2
    """Of BM25: how soon more of the same word stops to count, 0 or more."""
    b: float = 0.75
    """Of BM25: how much longer records are held back, 0 to 1."""
    formula: Literal["lucene", "robertson"] = "lucene"
    """Of BM25's weight of a word: `lucene` is never below 0, `robertson` is for words in most records."""
    title_weight: int = 2
    """Times a title counts, 0 or more."""
    dimensions: int = 512
    """Of the vectors, 8 to 8192."""

    def __post_init__(self) -> None:
        if self.title_weight < 0:
            raise ConfigError("title_weight must be 0 or more", seen=self.title_weight)
        if not 8 <= self.dimensions <= 8192:
            raise ConfigError("dimensions must be between 8 and 8192", seen=self.dimensions)
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigError("k1 must be 0 or more and b between 0 and 1", seen=(self.k1, self.b))


@step(version="1", name="data.index", produces=IndexAsset, resources=Resources(cpu=1))
def index(records: Asset, ctx: Context, *, config: IndexStepConfig) -> Draft:
    """Index a snapshot of texts, or a corpus. Metrics: records, superseded, bytes_indexed."""
    need("numpy", extra="data", why="to build an index")
    need("usearch", extra="data", why="to find neighbours")
    need("pyarrow", extra="data", why="to read records")
    from tenfold.data.retrieval.entries import COLUMNS, of_documents, of_records
    from tenfold.data.retrieval.index import Index, IndexConfig
    from tenfold.data.retrieval.postings import Bm25

    if isinstance(records, Corpus):
        entries = of_documents(records.documents())
    elif isinstance(records, Snapshot):
        entries = of_records(records.batches(COLUMNS))
    else:
        raise InputError(
            "only a snapshot or a corpus can be indexed",
            where=records.name,
            seen=records.manifest.kind,
        )
    draft = ctx.draft(IndexAsset.kind)
    folder = draft.path("index.json").parent
    made = Index.build(
        folder,
        entries,
        snapshot=records.digest,
        config=IndexConfig(
            bm25=Bm25(k1=config.k1, b=config.b, formula=config.formula),
            title_weight=config.title_weight,
            dimensions=config.dimensions,
        ),
    )
    draft.meta.update(records=len(made), snapshot=records.digest)
    ctx.metric("records", len(made), unit="records")
    ctx.metric(
        "superseded", sum(row in made.supersession for row in range(len(made))), unit="records"
    )
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    ctx.metric("bytes_indexed", num_bytes, unit="bytes")
    return draft
