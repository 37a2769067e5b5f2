"""Lineage: from a digest back to the sources, and forward to what was built from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.facts import StepResult
from tenfold.queries.levels import levels_of
from tenfold.queries.past import Past

COUNTED = {"source": "sources", "licence": "licences", "split": "splits", "removed": "removed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One asset on the way back to the sources."""

    digest: str
    asset: str
    kind: str
    step: str
    """Empty when its record was forgotten: the digest is then all that is known."""
    version: str
    level: int
    """0: a source."""
    num_bytes: int
    key: str | None
    run_id: str | None
    needs: tuple[str, ...]
    """Digests."""
    config: Mapping[str, Any]
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCount:
    """Documents of a corpus or of shards that share something."""

    asset: str
    what: str
    """`source`, `licence`, `split`, or `removed` for what was taken out and by which cause."""
    name: str
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    digest: str
    ancestors: tuple[Ancestor, ...]
    """Sources first; the asset itself is the last one."""
    edges: tuple[tuple[str, str], ...]
    """(needed digest, digest)"""
    data: tuple[DataCount, ...]
    """What corpora and shards consist of, by what they say of themselves."""


def lineage(past: Past, result: StepResult) -> Lineage:
    """Walk the inputs of a result back to where nothing is needed any more."""
    found: dict[str, tuple[str, StepResult | None]] = {}
    needs: dict[str, tuple[str, ...]] = {}
    stack: list[tuple[str, str, StepResult | None]] = [(result.asset, result.output.digest, result)]
    while stack:
        asset, digest, made = stack.pop()
        if digest in found:
            continue
        found[digest] = (asset, made)
        inputs = made.inputs if made else ()
        needs[digest] = tuple(dict.fromkeys(d for _, d in inputs))
        stack.extend((name, d, past.made(d, name)) for name, d in inputs if d not in found)
    levels = levels_of(needs)
    ancestors = [
        Ancestor(
            digest=digest,
            asset=asset,
            kind=made.output.kind if made else "asset",
            step=made.step if made else "",
            version=made.version if made else "",
            level=levels[digest],
            num_bytes=made.output.num_bytes if made else 0,
            key=made.key if made else None,
            run_id=made.run_id if made else None,
            needs=needs[digest],
            config=dict(made.config) if made else {},
            meta=dict(made.output.meta) if made else {},
        )
        for digest, (asset, made) in found.items()
    ]
    ancestors.sort(key=lambda a: (a.level, a.digest == result.output.digest, a.asset))
    return Lineage(
        digest=result.output.digest,
        ancestors=tuple(ancestors),
        edges=tuple((need, a.digest) for a in ancestors for need in a.needs),
        data=tuple(data_counts(past, ancestors)),
    )


def data_counts(past: Past, ancestors: Sequence[Ancestor]) -> list[DataCount]:
    """Of every corpus and all shards on the way, from its meta (`licences: {name: documents}`) or metrics (`licence.X`)."""
    corpora = [a for a in ancestors if a.kind in ("corpus", "shards")]
    metrics = past.scalars(a.key for a in corpora if a.key)
    found: list[DataCount] = []
    for corpus in corpora:
        scalars = metrics.get(corpus.key or "", {})
        for what, plural in COUNTED.items():
            counts = corpus.meta.get(plural)
            if not isinstance(counts, Mapping):
                prefixes = (what + ".", plural + ".")
                counts = {
                    name.partition(".")[2]: metric.value
                    for name, metric in scalars.items()
                    if name.startswith(prefixes)
                }
            rows = [
                DataCount(asset=corpus.asset, what=what, name=str(name), documents=int(number))
                for name, number in counts.items()
                if isinstance(number, int | float)
            ]
            found += sorted(rows, key=lambda row: (-row.documents, row.name))
    return found


def used_by(past: Past, digest: str) -> list[StepResult]:
    """Results that took this digest as an input, newest first."""
    return [r for r in reversed(past.results()) if any(d == digest for _, d in r.inputs)]
