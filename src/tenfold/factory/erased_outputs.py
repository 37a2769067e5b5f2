"""Outputs of steps in an erasure: manifests without a person's words, counts that fit, and what came of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Corpus, Document, FileRef, Manifest, Model, Report, Table, Tokenizer
from tenfold.core.facts import StepResult

if TYPE_CHECKING:
    from tenfold.core.ports import Blobs
    from tenfold.data.privacy.traces import Traces

_NO_COPY = frozenset({Model.kind, Report.kind, Tokenizer.kind})
"""Kinds that do not hold their inputs' records one by one: they are listed, not removed."""


def cleaned_manifest(manifest: Manifest, traces: Traces) -> Manifest:
    """With every trace in file names and meta blanked."""
    plain, count = traces.blanked(manifest.to_bytes())
    if not count:
        return manifest
    read: dict[str, Any] = json.loads(plain)
    files = {name: FileRef(*ref) for name, ref in read["files"].items()}
    return Manifest(read["kind"], files, read["meta"])


def recounted(manifest: Manifest, gone: Mapping[str, Sequence[bytes]]) -> Manifest:
    """With the counts of its meta less what went. `gone`: file -> lines. Kinds that count nothing stay."""
    meta = dict(manifest.meta)
    if manifest.kind == Table.kind and "rows" in meta:
        meta["rows"] -= len(gone.get(Table.FILE, ()))
    if manifest.kind == Corpus.kind:
        licences = Counter(meta.get("licences", {}))
        splits, sources = (Counter(meta.get(name, {})) for name in ("splits", "sources"))
        for line in gone.get(Corpus.FILE, ()):
            document = Document(**json.loads(line))
            licences[document.licence] -= 1
            splits[document.split] -= 1
            sources[document.meta.get("record", {}).get("source", "")] -= 1
            less = {
                "documents": 1, "characters": len(document.text), "bytes": len(document.text.encode()),
                "heldout_documents": int(document.split == "heldout"),
            }  # fmt: skip
            meta.update({name: meta[name] - count for name, count in less.items() if name in meta})
        for what, counts in (("licences", licences), ("splits", splits), ("sources", sources)):
            if what in meta:
                meta[what] = {name: count for name, count in sorted(counts.items()) if count > 0}
    return replace(manifest, meta=meta)


def descendants(results: Iterable[StepResult], digests: Set[str]) -> list[StepResult]:
    """Everything that was made from one of the digests, directly or not, nearest first."""
    known = list(results)
    front, seen, found = set(digests), set(digests), []
    while front:
        made = [
            r for r in known if any(d in front for _, d in r.inputs) and r.output.digest not in seen
        ]
        found += made
        front = {r.output.digest for r in made}
        seen |= front
    return found


def encoded(result: StepResult, blobs: Blobs) -> bool:
    """Whether it may hold records in a form that cannot be searched: token ids, an index, vectors."""
    from tenfold.data.privacy.rewriting import is_text
    from tenfold.data.privacy.search import GZIP, PARQUET

    if result.output.kind in _NO_COPY:
        return False
    for ref in result.output.files.values():
        if not blobs.has(ref):
            continue
        with blobs.open(ref.sha256) as stream:
            head = stream.read(1 << 12)
        if head and not (is_text(head[:-4] or head) or head[:4] == PARQUET or head[:2] == GZIP):
            return True
    return False
