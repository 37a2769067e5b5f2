"""What a replay's outcomes amount to. Arithmetic on outcomes; knows nothing about how they came."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tenfold.plan.client import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures of one replay. Latencies are of answered requests only; `errors` says how many were not."""

    requests: int
    errors: int
    wall_s: float
    requests_per_s: float
    """Answered requests per second."""
    tokens_per_s: float
    """Completion tokens delivered per second, repeated answers included."""
    latency_ms: Mapping[str, float]
    """`p50`, `p95`, `p99`, `mean`; empty when nothing was answered."""
    ttft_ms: Mapping[str, float]
    """The same for streams; empty without them."""
    tier_share: Mapping[str, float]
    """By tier, of answered requests; they sum to 1."""
    lag_p99_ms: float = 0.0
    """How late the client itself was in sending, open loop."""
    error_kinds: Mapping[str, int] = field(default_factory=dict)

    @property
    def on_schedule(self) -> bool:
        """False when the client, not the server, may have shaped the latencies of an open loop."""
        return self.lag_p99_ms <= max(5.0, 0.02 * self.latency_ms.get("p50", 0.0))


def summarise(outcomes: Sequence[Outcome], wall_s: float) -> Summary:
    answered = [outcome for outcome in outcomes if outcome.ok]
    tiers = Counter(outcome.tier or "unknown" for outcome in answered)
    seconds = max(wall_s, 1e-9)
    return Summary(
        requests=len(outcomes),
        errors=len(outcomes) - len(answered),
        wall_s=wall_s,
        requests_per_s=len(answered) / seconds,
        tokens_per_s=sum(outcome.completion_tokens for outcome in answered) / seconds,
        latency_ms=_spread([outcome.latency_ms for outcome in answered]),
        ttft_ms=_spread([o.ttft_ms for o in answered if o.ttft_ms is not None]),
        tier_share={tier: count / len(answered) for tier, count in sorted(tiers.items())},
        lag_p99_ms=percentile([outcome.lag_ms for outcome in outcomes], 99) if outcomes else 0.0,
        error_kinds=dict(Counter(outcome.error for outcome in outcomes if outcome.error)),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that occurred. `values` must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def equal_share(first: Sequence[Outcome], second: Sequence[Outcome]) -> float | None:
    """Share of requests with the same text in both replays, of those answered in both; None: no such."""
    both = [
        one.text == other.text
        for one, other in zip(first, second, strict=True)
        if one.ok and other.ok
    ]
    return sum(both) / len(both) if both else None


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    spread = {f"p{percent}": percentile(values, percent) for percent in (50, 95, 99)}
    return {**spread, "mean": math.fsum(values) / len(values)}
