"""Lineage: from a digest back to the sources, and forward to what was built from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.core.facts import StepResult
from tenfold.queries.graph import levels_of
from tenfold.queries.past import Past


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
class Source:
    """Documents of one source under one licence."""

    asset: str
    source: str | None
    licence: str | None
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    digest: str
    ancestors: tuple[Ancestor, ...]
    """Sources first; the asset itself is the last one."""
    edges: tuple[tuple[str, str], ...]
    """(needed digest, digest)"""
    sources: tuple[Source, ...]
    """What the training data consists of, read from what the corpora say of themselves."""


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
        stack.extend((name, d, past.made(d)) for name, d in inputs if d not in found)
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
        sources=tuple(sources(ancestors)),
    )


def sources(ancestors: list[Ancestor]) -> list[Source]:
    """The counts of the corpus nearest to the asset (it is the one that was learned from).

    Corpora count their documents in meta: `sources` and `licences` map a name to a number of documents,
    or `sources` maps a name to `{"documents": n, "licence": l}`.
    """
    corpora = [a for a in ancestors if a.kind == "corpus"]
    for corpus in reversed(corpora):
        counted = corpus.meta.get("sources")
        licences = corpus.meta.get("licences") or corpus.meta.get("licenses") or {}
        found = []
        if isinstance(counted, Mapping):
            only = next(iter(licences)) if len(licences) == 1 else None
            for name, entry in counted.items():
                if isinstance(entry, Mapping):
                    number = int(entry.get("documents", 0))
                    licence = entry.get("licence", only)
                else:
                    number, licence = int(entry), only
                found.append(
                    Source(asset=corpus.asset, source=name, licence=licence, documents=number)
                )
        elif isinstance(licences, Mapping):
            found = [
                Source(asset=corpus.asset, source=None, licence=name, documents=int(number))
                for name, number in licences.items()
            ]
        if found:
            return sorted(found, key=lambda s: (-s.documents, s.source or "", s.licence or ""))
    return []


def used_by(past: Past, digest: str) -> list[StepResult]:
    """Results that took this digest as an input, newest first."""
    return [r for r in reversed(past.results()) if any(d == digest for _, d in r.inputs)]
