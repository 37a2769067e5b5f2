"""`tenfold replay`: a trace from a file, or the one of the newest rehearsal, through a running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.core.asset import view
from tenfold.core.facts import StepResult
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory
    from tenfold.plan.trace import TraceRequest

_TRACE = "trace.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay amounted to."""

    figures: Mapping[str, tuple[float, str]]
    """name -> (value, unit)"""
    errors: int
    error_kinds: Mapping[str, int]
    """How often each kind of error was met."""


def replay(
    factory: Factory, trace: Path | None, *, url: str, key: str, model: str, concurrency: int | None
) -> Replayed:
    """Send a trace and sum up what came back. Raises UsageError when there is no trace."""
    from tenfold.plan.replay import replay_trace
    from tenfold.plan.trace import read_trace

    requests = read_trace(trace) if trace is not None else _rehearsed(factory)
    served = factory.spec.serve if factory.spec is not None else None
    found = replay_trace(
        url,
        key,
        requests,
        model=model or (served.model if served is not None else None) or "",
        concurrency=concurrency,
    )
    summary = found.summary
    figures = {
        "requests": (float(summary.requests), "requests"),
        "errors": (float(summary.errors), "requests"),
        "requests_per_s": (summary.requests_per_s, "requests/s"),
        "tokens_per_s": (summary.tokens_per_s, "tokens/s"),
        **{f"latency_ms.{name}": (value, "ms") for name, value in summary.latency_ms.items()},
        **{f"ttft_ms.{name}": (value, "ms") for name, value in summary.ttft_ms.items()},
        **{f"tier_share.{tier}": (share, "share") for tier, share in summary.tier_share.items()},
    }
    for name, total, unit in (
        ("joules_per_request", found.joules, "J"),
        ("usd_per_request", found.usd, "USD"),
    ):
        each = found.per_request(total)
        if each is not None:
            figures[name] = (each, unit)
    return Replayed(figures=figures, errors=summary.errors, error_kinds=dict(summary.error_kinds))


def _rehearsed(factory: Factory) -> list[TraceRequest]:
    """The trace that the newest rehearsal of this factory was made with."""
    from tenfold.plan.trace import parse_trace

    for result in factory.ledger.read(
        StepResult, factory=factory.name, step="plan.replay", newest=True
    ):
        if _TRACE in result.output.files:
            asset = view(result.asset, result.output, factory.blobs)
            return parse_trace(asset.lines(_TRACE), where=f"{result.asset}/{_TRACE}")
    raise UsageError(
        "there is no trace to replay", hint="name a file, or run a factory with a plan.replay step"
    )
