"""Writes snapshots: segments in order, and a manifest in plain JSON that says where they came from.

The manifest holds no record and no person: counts, causes, digests, settings. Segments are files of the
asset under their content's name, so that two snapshots which share a segment share its bytes in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenfold.core.asset import Draft, FileRef, Snapshot
from tenfold.core.keys import canonical_json, digest
from tenfold.core.segment import Segment
from tenfold.core.step import Context

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a snapshot comes from."""

    modality: str
    """Of all its records: `text`, `image` or `row`; `mixed` where they differ."""
    recipe: Sequence[Mapping[str, Any]]
    """What made it, in order: each with `name`, `version`, `parameters`."""
    parents: Sequence[str] = ()
    """Digests of the snapshots it was made from."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """Cause -> records that a cut took out of it, here or in a parent."""
    quarantine: Mapping[str, int] = field(default_factory=dict)
    """Cause -> things that could not be read at all."""
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Source -> what it says of itself and how much of it could be read; no times, which differ every run."""


def derived(
    ctx: Context,
    parent: Snapshot,
    segments: Iterable[tuple[Segment, FileRef]],
    recipe: Sequence[Mapping[str, Any]],
    lost: Mapping[str, FileRef] | None = None,
    causes: Mapping[str, int] | None = None,
) -> Draft:
    """A snapshot made of another one by `recipe`, with the quarantine and the losses that one had. `lost`:
    files of further losses, `causes`: how many of each. Metrics as `write_snapshot`."""
    draft = ctx.draft(Snapshot.kind)
    for file, ref in parent.files.items():
        if file.startswith(("quarantine/", "lost/")):
            draft.include(file, ref)
    for file, ref in (lost or {}).items():
        draft.include(file, ref)
    content = parent.content
    origin = Origin(
        modality=content["modality"],
        recipe=[*content["recipe"]["steps"], *recipe],
        parents=[parent.digest],
        lost=Counter(content["lost"]) + Counter(causes or {}),
        quarantine=content["quarantine"],
        sources=content.get("sources", {}),
    )
    return write_snapshot(ctx, draft, segments, origin)


def write_snapshot(
    ctx: Context, draft: Draft, segments: Iterable[tuple[Segment, FileRef]], origin: Origin
) -> Draft:
    """Segments without a row are left out. Metrics: records, kept, bytes, segments, dropped.CAUSE,
    lost.CAUSE, quarantined, quarantined.CAUSE."""
    listed: list[Segment] = []
    drops: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for segment, ref in segments:
        if not segment.rows:
            continue
        draft.include(segment.file, ref)
        listed.append(segment)
        drops.update(segment.drops)
        licences.update(segment.licences)
    metrics = {
        "records": sum(segment.rows for segment in listed),
        "kept": sum(segment.kept for segment in listed),
        "bytes": sum(segment.num_bytes for segment in listed),
        "segments": len(listed),
        "quarantined": sum(origin.quarantine.values()),
        "lost": sum(origin.lost.values()),
    }
    recipe = [dict(each) for each in origin.recipe]
    draft.write_json(
        Snapshot.FILE,
        {
            "format": FORMAT,
            "modality": origin.modality,
            "recipe": {"digest": digest(canonical_json(recipe)), "steps": recipe},
            "parents": list(origin.parents),
            "segments": [segment.to_json() for segment in listed],
            "drops": dict(sorted(drops.items())),
            "lost": dict(sorted(origin.lost.items())),
            "quarantine": dict(sorted(origin.quarantine.items())),
            "sources": {name: dict(facts) for name, facts in sorted(origin.sources.items())},
            "metrics": metrics,
        },
    )
    draft.meta.update(
        records=metrics["records"],
        kept=metrics["kept"],
        bytes=metrics["bytes"],
        modality=origin.modality,
        licences=dict(sorted(licences.items())),
    )
    for name, value in metrics.items():
        ctx.metric(name, value, unit="bytes" if name == "bytes" else "")
    for prefix, counts in (
        ("dropped", drops), ("lost", origin.lost), ("quarantined", origin.quarantine),
    ):  # fmt: skip
        for cause in sorted(counts):
            ctx.metric(f"{prefix}.{cause}", counts[cause], unit="records")
    return draft
