"""`data.shards`: the texts of a snapshot as tokens for training, memory-mapped, segment by segment.

Packing: documents in the order of the snapshot, the tokenizer's end token after each, nothing cut and nothing
padded; where each begins is kept. Blocks of a context, their shuffling and who gets which are decided when they are
read (`core.blocks`), so one asset serves every context, seed and number of ranks. Knows nothing about training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.core.asset import Draft, Shards, Snapshot, Tokenizer
from tenfold.core.shards import Shard
from tenfold.core.step import Context, Resources, step
from tenfold.core.tokens import width_for
from tenfold.data.hub import catalogue
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

FORMAT = 1
PACKING = {
    "order": "records of the snapshot, segment by segment; one row of ids for each split",
    "between": "the end token after each document, where the tokenizer has one",
    "cut": "nothing: blocks are cut across documents when they are read",
    "padding": "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsConfig:
    """What is held out of training."""

    heldout_share: float = 0.05
    """Of the records that no `split` operator and no source put on a side, 0 to 0.5."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_share <= 0.5:
            raise ConfigError("heldout_share must be between 0 and 0.5", seen=self.heldout_share)


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, str]:
    """The version of the rule that holds out: a raised one makes the shards stale."""
    return catalogue.observe(["split"], directory)


@step(
    version="1",
    name="data.shards",
    produces=Shards,
    resources=Resources(cpu=64),
    observe=observe,
)
def shards(records: Snapshot, tokenizer: Tokenizer, ctx: Context, *, config: ShardsConfig) -> Draft:
    """Tokenise. Metrics: documents, tokens, bytes, bytes_per_token, heldout.documents, heldout.tokens. Raises
    InputError for records that are no texts, and where nothing is left to train on."""
    need("pyarrow", extra="data", why="to hold records in columns")
    library: Any = need("tokenizers", extra="train", why="to cut texts into tokens")
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make
    from tenfold.data.out.shard import ShardJob, run_shard
    from tenfold.data.out.split import Split

    require_texts(records)
    vocabulary = library.Tokenizer.from_file(str(tokenizer.path("tokenizer.json")))
    end = tokenizer.special_token("eos_token")
    width = width_for(vocabulary.get_vocab_size())
    jobs = [
        ShardJob(
            segment.sha256,
            records.path(segment.file),
            tokenizer.files["tokenizer.json"].sha256,
            tokenizer.path("tokenizer.json"),
            None if end is None else vocabulary.token_to_id(end),
            width,
            Split(heldout_share=config.heldout_share),
        )
        for segment in records.segments()
    ]
    pieces = make(ctx, run_shard, jobs, executor(ctx.cpu, len(jobs), config.cluster), "tokenise")
    draft = ctx.draft(Shards.kind)
    found: list[Shard] = []
    sources: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for piece in pieces:
        sources.update(piece.meta["sources"])
        licences.update(piece.meta["licences"])
        for split, counts in piece.meta["splits"].items():
            ids, offsets = piece.files[f"{split}.ids"], piece.files[f"{split}.offsets"]
            shard = Shard(
                split=split, ids_sha256=ids.sha256, offsets_sha256=offsets.sha256, **counts
            )
            draft.include(shard.ids_file, ids)
            draft.include(shard.offsets_file, offsets)
            found.append(shard)
    train = [shard for shard in found if shard.split == "train"]
    if not train:
        raise InputError(
            "no record is left to train on", where=records.name, hint="lower heldout_share"
        )
    draft.write_json(
        Shards.FILE,
        {
            "format": FORMAT,
            "tokenizer": tokenizer.digest,
            "end_token": end,
            "end_id": jobs[0].end_id,
            "id_bytes": width,
            "packing": PACKING,
            "parents": [records.digest],
            "shards": [shard.to_json() for shard in found],
        },
    )
    held = [shard for shard in found if shard.split != "train"]
    num_tokens = sum(shard.num_tokens for shard in found)
    num_bytes = sum(shard.num_bytes for shard in found)
    documents = {
        "train": sum(shard.num_documents for shard in train),
        "heldout": sum(shard.num_documents for shard in held),
    }
    draft.meta.update(
        documents=sum(documents.values()),
        tokens=num_tokens,
        bytes=num_bytes,
        tokenizer=tokenizer.digest,
        sources=dict(sorted(sources.items())),
        licences=dict(sorted(licences.items())),
        splits=documents,
        removed=dict(records.content["lost"]),
    )
    ctx.metric("documents", sum(documents.values()), unit="documents")
    ctx.metric("tokens", num_tokens, unit="tokens")
    ctx.metric("bytes", num_bytes, unit="bytes")
    ctx.metric("bytes_per_token", num_bytes / max(num_tokens, 1), unit="bytes")
    ctx.metric("heldout.documents", documents["heldout"], unit="documents")
    ctx.metric("heldout.tokens", sum(shard.num_tokens for shard in held), unit="tokens")
    return draft


def require_texts(records: Snapshot) -> None:
    """Raises InputError for a snapshot of images or rows."""
    if records.meta["modality"] != "text":
        raise InputError(
            "only texts can be tokenised and made a corpus",
            where=records.name,
            seen=records.meta["modality"],
        )
