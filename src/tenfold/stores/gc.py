"""Garbage collection: mark what is still wanted, sweep the rest after a grace time.

Wanted: what aliases point at or pointed at lately, the newest results of every asset, everything those
were made from, checkpoints of unfinished work, and whatever a live run may be writing (the grace time).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tenfold.core.facts import AliasMove, Partial, StepResult
from tenfold.core.ports import Blobs, Ledger


class Sweepable(Blobs, Protocol):
    def sweep_leftovers(self, older_than_s: float, keep: set[str]) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection removed, or would remove."""

    results: int
    blobs: int
    freed_bytes: int
    kept_results: int
    dry_run: bool


def collect_garbage(
    ledger: Ledger,
    blobs: Sweepable,
    now_s: float,
    *,
    keep_last: int = 3,
    keep_alias_moves: int = 3,
    grace_s: float = 86_400.0,
    dry_run: bool = False,
) -> Collected:
    """`keep_last` results per asset, and the last `keep_alias_moves` targets of each alias, survive."""
    results = ledger.read(StepResult)
    kept = _marked(results, ledger.read(AliasMove), keep_last, keep_alias_moves)
    doomed = [r for r in results if r.key not in kept and r.finished_at_s < now_s - grace_s]
    alive = [r for r in results if r.key in kept or r.finished_at_s >= now_s - grace_s]
    wanted = {ref.sha256 for result in alive for ref in result.output.files.values()}
    for partial in ledger.read(Partial):
        wanted.update(ref.sha256 for ref in partial.output.files.values())
    swept = [
        ref
        for ref, written_at_s in blobs.listing()
        if ref.sha256 not in wanted and written_at_s < now_s - grace_s
    ]
    if not dry_run:
        ledger.forget([result.key for result in doomed])  # first the facts: a lost blob is rebuilt,
        for (
            ref
        ) in swept:  # a fact without its blob would only cost one rebuild, never a wrong answer
            blobs.delete(ref.sha256)
        blobs.sweep_leftovers(grace_s, {result.output.digest for result in alive})
    return Collected(
        results=len(doomed),
        blobs=len(swept),
        freed_bytes=sum(ref.num_bytes for ref in swept),
        kept_results=len(alive),
        dry_run=dry_run,
    )


def _marked(
    results: Iterable[StepResult],
    moves: Iterable[AliasMove],
    keep_last: int,
    keep_alias_moves: int,
) -> set[str]:
    """Keys to keep, closed over the inputs they were made from."""
    ordered = sorted(results, key=lambda r: r.finished_at_s)
    by_digest: dict[str, list[StepResult]] = {}
    per_asset: dict[tuple[str, str], list[StepResult]] = {}
    for result in ordered:
        by_digest.setdefault(result.output.digest, []).append(result)
        per_asset.setdefault((result.factory, result.asset), []).append(result)
    roots = [result for group in per_asset.values() for result in group[-keep_last:]]
    per_alias: dict[str, list[str]] = {}
    for move in moves:
        if move.digest is not None:
            per_alias.setdefault(move.alias, []).append(move.digest)
    for digests in per_alias.values():
        for digest in digests[-keep_alias_moves:]:
            roots.extend(by_digest.get(digest, []))
    kept: set[str] = set()
    while roots:
        result = roots.pop()
        if result.key not in kept:
            kept.add(result.key)
            for _, digest in result.inputs:
                roots.extend(by_digest.get(digest, [])[-1:])
    return kept
