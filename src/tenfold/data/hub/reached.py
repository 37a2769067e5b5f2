"""How far a source has been read: its cursor, and all that was read up to there, kept under the source's settings.

A source that grows is then read on from its cursor: what it gave before is taken from here, whatever has become
of it outside. Knows kept pieces and cursors; a cursor is the connector's own business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tenfold.core.asset import Asset, Piece
from tenfold.core.step import Context
from tenfold.data.hub.job import job_key
from tenfold.data.sources.connector import Connector


def can_grow(connector: Connector) -> bool:
    """Whether its cursor leads to what is new alone. Tables and web services need a column to go by (`since`);
    files know which of them are new."""
    return getattr(connector, "since", "files") is not None


def reached(ctx: Context, settings: Mapping[str, Any], segment_bytes: int) -> Asset | None:
    """All that was read of a source with these settings; None: nothing, or it has left the store."""
    return ctx.piece(_key(settings, segment_bytes))


def extended(
    ctx: Context,
    settings: Mapping[str, Any],
    segment_bytes: int,
    before: Asset | None,
    piece: Asset,
) -> Asset:
    """What was read `before` with the new `piece` behind it, kept for the next time."""
    draft = ctx.draft(Piece.kind)
    segments: list[Any] = []
    quarantine: Counter[str] = Counter()
    modality = None
    for each in (before, piece):
        if each is None:
            continue
        for ref in each.files.values():
            draft.include(f"{ref.sha256}.parquet", ref)
        segments += each.meta["segments"]
        quarantine.update(each.meta["quarantine"])
        modality = each.meta["modality"] or modality
    draft.meta.update(
        segments=segments,
        quarantine=dict(sorted(quarantine.items())),
        modality=modality,
        integration=piece.meta["integration"],
        cursor=piece.meta["cursor"],
    )
    return ctx.keep(_key(settings, segment_bytes), draft)


def quarantine_files(piece: Asset | None) -> list[Any]:
    """Files of a piece that hold what could not be read."""
    if piece is None:
        return []
    listed = {segment["sha256"] for segment in piece.meta["segments"]}
    refs = {ref.sha256: ref for ref in piece.files.values() if ref.sha256 not in listed}
    return [refs[sha256] for sha256 in sorted(refs)]


def _key(settings: Mapping[str, Any], segment_bytes: int) -> str:
    return job_key("reached", settings=dict(settings), segment_bytes=segment_bytes)
