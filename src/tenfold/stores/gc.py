"""Garbage collection: mark what is still wanted, sweep the rest after a grace time.

Wanted: what aliases point at or pointed at lately, the newest results of every asset, everything those
were made from, checkpoints of unfinished work, pieces (finished parts of a step's work) as long as an asset
has their files, and whatever a live run may be writing (the grace time).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from tenfold.core.asset import Piece
from tenfold.core.facts import AliasMove, Partial, Run, RunStep, StepResult
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
    """`keep_last` results per asset, and the last `keep_alias_moves` targets of each alias, survive.

    So does everything that one of the last `keep_last` runs, or one that is going on, made or used.
    """
    limit_s = now_s - grace_s
    runs = ledger.read(Run, newest=True)
    live = [run for run in runs if run.status == "running"]
    if live:  # what it has written may not be on record yet
        limit_s = min(limit_s, *(run.started_at_s for run in live))
    used = _used(ledger, runs, limit_s, keep_last)
    results = ledger.read(StepResult)
    kept = _marked(results, ledger.read(AliasMove), used, keep_last, keep_alias_moves)
    doomed = [r for r in results if r.key not in kept and r.finished_at_s < limit_s]
    alive = [r for r in results if r.key in kept or r.finished_at_s >= limit_s]
    wanted = {ref.sha256 for result in alive for ref in result.output.files.values()}
    stale = []
    for partial in ledger.read(Partial):
        files = {ref.sha256 for ref in partial.output.files.values()}
        if partial.output.kind != Piece.kind or partial.at_s >= limit_s:
            wanted |= files
        elif not files <= wanted:  # a piece lasts as long as an asset has all its files
            stale.append(partial.key)
    if not dry_run:  # first the facts: a fact without its blob costs a rebuild
        ledger.forget([*(result.key for result in doomed), *stale])
    num_blobs = freed_bytes = 0
    for ref, written_at_s in blobs.listing():
        # Deleted as it is listed: somebody who stores the same bytes again makes the blob young first.
        if ref.sha256 not in wanted and written_at_s < limit_s:
            num_blobs += 1
            freed_bytes += ref.num_bytes
            if not dry_run:
                blobs.delete(ref.sha256)
    if not dry_run:
        blobs.sweep_leftovers(now_s - limit_s, {result.output.digest for result in alive})
    return Collected(
        results=len(doomed),
        blobs=num_blobs,
        freed_bytes=freed_bytes,
        kept_results=len(alive),
        dry_run=dry_run,
    )


def _used(ledger: Ledger, runs: Sequence[Run], limit_s: float, keep_last: int) -> set[str]:
    """Keys that recent runs settled on: an old result that serves again is not old."""
    recent: list[str] = []
    per_factory: Counter[str] = Counter()
    for run in runs:  # newest first
        per_factory[run.factory] += 1
        if (
            run.status == "running"
            or run.started_at_s >= limit_s
            or per_factory[run.factory] <= keep_last
        ):
            recent.append(run.id)
    rows = ledger.read(RunStep, run_id=recent)
    return {row.key for row in rows if row.key is not None}


def _marked(
    results: Iterable[StepResult],
    moves: Iterable[AliasMove],
    used: Set[str],
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
    roots += [result for result in ordered if result.key in used]
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
