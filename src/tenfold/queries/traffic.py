"""Traffic: requests by tier with latency, tokens, cost and energy, over time and in sum.

Sums come from the ledger's own buckets and cover every request. Percentiles need the single requests:
they are taken over the newest ones in the window, and say over how many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.facts import EnergyWindow, RequestEvent, TrafficRow
from tenfold.queries.past import Past

TIERS = (
    "edge",
    "exact",
    "host",
    "template",
    "semantic",
    "shared",
    "flight",
    "student",
    "model",
    "refused",
)
"""Cheapest first, as a request meets them."""
SAMPLE = 2_000
"""Requests that percentiles are taken over at most."""
BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTraffic:
    tier: str
    requests: int
    errors: int
    share: float
    """Of all requests that were answered or refused, in [0, 1]."""
    p50_ms: float | None
    p95_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    prompt_tokens: int
    completion_tokens: int
    usd: float
    joules: float

    @property
    def usd_per_request(self) -> float:
        return self.usd / self.requests if self.requests else 0.0

    @property
    def joules_per_request(self) -> float:
        return self.joules / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    since_s: float
    until_s: float
    bucket_s: float
    source: str | None
    sources: tuple[str, ...]
    """What can be chosen: `live`, and the run ids of rehearsals, newest first."""
    times_s: tuple[float, ...]
    """Start of each bucket, without gaps."""
    series: dict[str, tuple[int, ...]]
    """tier -> requests in each bucket"""
    tiers: tuple[TierTraffic, ...]
    """Cheapest tier first."""
    total: TierTraffic
    sampled: int
    """Requests the percentiles are taken over."""
    recent: tuple[RequestEvent, ...]
    """Newest first."""
    energy: tuple[EnergyWindow, ...]
    """Of the serving processes in the window: idle energy is here and in no request."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile (Hyndman and Fan, type 1): always a value that occurred."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def tier_order(tier: str) -> tuple[int, str]:
    return (TIERS.index(tier) if tier in TIERS else len(TIERS) - 1, tier)


def bucket_for(span_s: float, target: int = 60) -> float:
    """A round bucket length that cuts a span in at most about `target` pieces."""
    return float(next((b for b in BUCKETS_S if span_s / b <= target), BUCKETS_S[-1]))


def traffic(
    past: Past,
    *,
    since_s: float,
    until_s: float,
    bucket_s: float | None,
    source: str | None,
    num_recent: int,
) -> Traffic:
    bucket, rows = _buckets(past, since_s, until_s, bucket_s, source)
    where: dict[str, Any] = {"source": source} if source is not None else {}
    newest = past.ledger.read(RequestEvent, newest=True, limit=SAMPLE, **where)
    events = [event for event in newest if event.at_s >= since_s]
    tiers = sorted({row.tier for row in rows}, key=tier_order)
    total = sum(row.requests for row in rows)
    windows = past.ledger.read(EnergyWindow, newest=True, limit=SAMPLE, **where)
    times, series = _series(rows, tiers, bucket, since_s)
    return Traffic(
        since_s=since_s,
        until_s=until_s,
        bucket_s=bucket,
        source=source,
        sources=_sources(newest, source),
        times_s=times,
        series=series,
        tiers=tuple(_tier(t, [r for r in rows if r.tier == t], events, total) for t in tiers),
        total=_tier("total", rows, events, total),
        sampled=len(events),
        recent=tuple(events[:num_recent]),
        energy=tuple(w for w in windows if w.ended_at_s >= since_s),
    )


def _buckets(
    past: Past, since_s: float, until_s: float, bucket_s: float | None, source: str | None
) -> tuple[float, list[TrafficRow]]:
    """Rows in buckets as fine as the time since the first request allows: a burst keeps its shape."""
    bucket = bucket_s or bucket_for(until_s - since_s)
    while True:
        rows = past.ledger.traffic(since_s, bucket, source)
        if not rows or bucket_s:
            return bucket, rows
        finer = bucket_for(until_s - max(since_s, min(row.bucket_at_s for row in rows)))
        if finer >= bucket:
            return bucket, rows
        bucket = finer


def _tier(
    tier: str, rows: Sequence[TrafficRow], events: Sequence[RequestEvent], total: int
) -> TierTraffic:
    mine = [e for e in events if tier in ("total", e.tier)]
    waits = [e.latency_ms for e in mine]
    firsts = [e.ttft_ms for e in mine if e.ttft_ms is not None]
    requests = sum(row.requests for row in rows)
    return TierTraffic(
        tier=tier,
        requests=requests,
        errors=sum(row.errors for row in rows),
        share=requests / total if total else 0.0,
        p50_ms=percentile(waits, 0.5),
        p95_ms=percentile(waits, 0.95),
        ttft_p50_ms=percentile(firsts, 0.5),
        ttft_p95_ms=percentile(firsts, 0.95),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        usd=sum(row.usd for row in rows),
        joules=sum(row.joules for row in rows),
    )


def _series(
    rows: Sequence[TrafficRow], tiers: Sequence[str], bucket_s: float, since_s: float
) -> tuple[tuple[float, ...], dict[str, tuple[int, ...]]]:
    """Requests per bucket from the first that has any to the last, zeros where there were none."""
    if not rows:
        return (), {}
    first = min(row.bucket_at_s for row in rows)
    count = round((max(row.bucket_at_s for row in rows) - first) / bucket_s) + 1
    table = {tier: [0] * count for tier in tiers}
    for row in rows:
        table[row.tier][round((row.bucket_at_s - first) / bucket_s)] += row.requests
    times = tuple(first + index * bucket_s for index in range(count))
    return times, {tier: tuple(counts) for tier, counts in table.items()}


def _sources(newest: Sequence[RequestEvent], source: str | None) -> tuple[str, ...]:
    found = dict.fromkeys(event.source for event in newest)
    return tuple(dict.fromkeys(["live", *([source] if source else []), *found]))
