"""`data.curate`: a corpus worth training on, and a held-out part of it worth measuring with.

In this order: one spelling (`normalise`), quality rules (`quality`), personal data (`core.pii`), copies
(`duplicates`), held-out draw (`heldout`). Every document that goes has a named cause, counted as a metric
and listed in `removed.jsonl`; nothing disappears silently. Works on any corpus; knows no source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tenfold.core import pii
from tenfold.core.asset import Corpus, Document, Draft
from tenfold.core.step import Context, Resources, step
from tenfold.data import duplicates
from tenfold.data.heldout import held_out
from tenfold.data.normalise import normalise
from tenfold.data.quality import QualityConfig, fault
from tenfold.errors import ConfigError, InputError

REMOVED = "removed.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurateConfig:
    """What stays, and in which form."""

    quality: QualityConfig = field(default_factory=QualityConfig)
    """Thresholds of the quality rules."""
    pii: Literal["redact", "keep"] = "redact"
    """`redact`: mail addresses, IBANs, cards and the like become `[EMAIL]`, `[IBAN]`, ..."""
    near_threshold: float = 0.8
    """Jaccard similarity of 5-word shingles from which two documents are one, above 0 to 1; 0: off."""
    contained_share: float = 0.8
    """Share of words standing in other documents' paragraphs from which one goes, above 0; 0: off."""
    passage_words: int = 12
    """Paragraphs shorter than this do not count as contained, words, 1 or more."""
    heldout_share: float = 0.05
    """Share of documents never trained on, 0 to 0.5."""
    heldout_max_overlap: float = 0.1
    """Share of a held-out document's 13-word sequences that others may have, 0 to 1."""

    def __post_init__(self) -> None:
        for name in ("near_threshold", "contained_share", "heldout_max_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be between 0 and 1", seen=getattr(self, name))
        if not 0 <= self.heldout_share <= 0.5:
            raise ConfigError("heldout_share must be between 0 and 0.5", seen=self.heldout_share)
        if self.passage_words < 1:
            raise ConfigError("passage_words must be 1 or more", seen=self.passage_words)


@step(version="2", name="data.curate", produces=Corpus, resources=Resources(cpu=1))
def curate(documents: Corpus, ctx: Context, *, config: CurateConfig) -> Draft:
    """Clean, deduplicate, redact and split. Metrics: removed.<cause>, redacted.<kind>, heldout.*."""
    removed: list[dict[str, Any]] = []
    redacted: Counter[str] = Counter()
    causes: Counter[str] = Counter()

    kept: list[Document] = []
    total = documents.count
    for number, document in enumerate(documents.documents(), 1):
        if number % 500 == 0:
            ctx.progress(number, 2 * total, "normalise, filter, redact")
        text = normalise(document.text)
        if cause := fault(text, config.quality):
            removed.append({"id": document.id, "source": document.source, "cause": cause})
            causes[cause] += 1
            continue
        if config.pii == "redact":
            text, counts = pii.redact_counted(text)
            redacted += counts
        kept.append(replace(document, text=text, split="train"))

    def drop(twins: Iterable[duplicates.Twin]) -> None:
        gone = {twin.id: twin for twin in twins}
        for document in kept:
            if twin := gone.get(document.id):
                causes[twin.cause] += 1
                row = {"id": document.id, "source": document.source, "cause": twin.cause}
                if twin.kept:
                    row["kept"] = twin.kept
                removed.append({**row, "similarity": round(twin.similarity, 4)})
        kept[:] = [document for document in kept if document.id not in gone]

    drop(duplicates.exact(kept))
    if config.contained_share:
        drop(
            duplicates.contained(
                kept, passage_words=config.passage_words, share=config.contained_share
            )
        )
    if config.near_threshold:
        drop(
            duplicates.near(
                kept,
                threshold=config.near_threshold,
                progress=lambda done, of: ctx.progress(
                    total + done * total / of, 2 * total, "dedup"
                ),
            )
        )
    if not kept:
        raise InputError(
            "no document is left",
            where=f"{documents.name}/{Corpus.FILE}",
            seen=dict(causes),
            hint="loosen the quality rules that removed most, named above",
        )

    outside, sent_back = held_out(
        kept, share=config.heldout_share, max_overlap=config.heldout_max_overlap
    )
    final = [
        replace(document, split="heldout") if document.id in outside else document
        for document in kept
    ]
    draft = Corpus.write(ctx.draft(Corpus.kind), final)
    draft.write_jsonl(REMOVED, removed)
    sizes: Counter[str] = Counter()
    for document in final:
        sizes[document.split] += len(document.text.encode())
    draft.meta.update(heldout_documents=len(outside), bytes=sizes.total())

    ctx.metric("documents", len(final), unit="documents")
    ctx.metric("bytes", sizes.total(), unit="bytes")
    ctx.metric("removed", len(removed), unit="documents")
    ctx.metric("removed_share", len(removed) / total)
    for cause in sorted(causes):
        ctx.metric(f"removed.{cause}", causes[cause], unit="documents")
    ctx.metric("redacted", redacted.total(), unit="spans")
    for kind in sorted(redacted):
        ctx.metric(f"redacted.{kind}", redacted[kind], unit="spans")
    for licence, count in sorted(Counter(document.licence for document in final).items()):
        ctx.metric(f"licence.{licence}", count, unit="documents")
    ctx.metric("heldout.documents", len(outside), unit="documents")
    ctx.metric("heldout.bytes", sizes["heldout"], unit="bytes")
    ctx.metric("heldout.sent_back", sent_back, unit="documents")
    return draft
