"""The rehearsal: the same trace through a real gateway, tiers off, then on.

Timings, money and joules become metrics; the report holds what is the same on every machine, the trace
and its law, so that equal inputs give equal bytes. Energy and money are the gateway's own accounting,
idle included. Knows no tier by what it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from tenfold.core.asset import Corpus, Draft, Model, Report
from tenfold.core.ports import GatewayHandle
from tenfold.core.step import Context, Resources, step
from tenfold.errors import BackendError, ConfigError, UsageError
from tenfold.plan.account import read_account, spent
from tenfold.plan.client import Outcome, Target, send_trace
from tenfold.plan.summary import Summary, equal_share, summarise
from tenfold.plan.trace import TraceRequest, trace_lines
from tenfold.plan.workload import WorkloadConfig, catalogue, describe, synthesise

TRACE_FILE = "trace.jsonl"


@dataclass(frozen=True, kw_only=True)
class ReplayConfig(WorkloadConfig):
    """The stream (see WorkloadConfig) and how it is sent."""

    concurrency: int = 8
    """Clients of the closed loop, each with one request under way, 1 to 1024."""
    endpoint: Literal["completions", "chat"] = "completions"
    """Which endpoint is asked."""
    tiers: tuple[str, ...] = ("exact",)
    """Tiers that are on in the second round; the first has none."""
    warm_up: int = 8
    """Requests before each round that count for nothing, 0 or more. Their prompts are not in the trace."""
    timeout_s: float = 60.0
    """For one request."""

    def __post_init__(self) -> None:
        WorkloadConfig.__post_init__(self)
        if not 1 <= self.concurrency <= 1024:
            raise ConfigError("concurrency must lie between 1 and 1024", seen=self.concurrency)
        if self.warm_up < 0:
            raise ConfigError("warm_up must be 0 or more", seen=self.warm_up)
        if not self.timeout_s > 0:
            raise ConfigError("timeout_s must be above 0", seen=self.timeout_s)


@dataclass(frozen=True, slots=True)
class Replay:
    """One round: every outcome, and what they amount to."""

    outcomes: Sequence[Outcome]
    summary: Summary
    joules: float | None = None
    """Of the gateway and its backend over the round, idle included; None: it keeps no such account."""
    usd: float | None = None

    def per_request(self, total: float | None) -> float | None:
        answered = self.summary.requests - self.summary.errors
        return None if total is None or not answered else total / answered


def replay_trace(
    url: str,
    key: str,
    trace: Sequence[TraceRequest],
    *,
    model: str,
    concurrency: int | None = None,
    endpoint: str = "completions",
    timeout_s: float = 120.0,
) -> Replay:
    """Send `trace` to a gateway and say how it went.

    Without `concurrency` each request goes out at its own time (open loop); with it, so many clients
    work through the trace as fast as they are answered. Raises UsageError for an empty trace or an
    address that is none; what goes wrong later is counted in the summary.
    """
    if not trace:
        raise UsageError("the trace holds no requests")
    target = Target(url, key, model, endpoint=endpoint, timeout_s=timeout_s)
    before = read_account(url, key)
    outcomes, wall_s = _in_a_loop(target, trace, concurrency)
    after = read_account(url, key) if before is not None else None
    joules = usd = None
    if before is not None and after is not None:
        joules, usd = spent(before, after, wall_s)
    return Replay(outcomes, summarise(outcomes, wall_s), joules=joules, usd=usd)


@step(version="1", name="plan.replay", produces=Report, resources=Resources(cpu=2))
def replay(model: Model, corpus: Corpus, ctx: Context, config: ReplayConfig) -> Draft:
    """Replay a stated workload through a gateway on `model`, first without tiers, then with them."""
    prompts = catalogue(corpus, config, ctx.seed)
    trace = synthesise(prompts, config, ctx.seed)
    facts = describe(config, prompts, trace)
    ctx.log("workload", **facts)
    with ctx.gateway(model, tiers=()) as handle:
        off = _round(handle, trace, config)
    ctx.progress(1, 2, "tiers off")
    with ctx.gateway(model, tiers=config.tiers) as handle:
        on = _round(handle, trace, config)
    ctx.progress(2, 2, "tiers on")
    for name, (value, unit) in figures(off, on).items():
        ctx.metric(name, value, unit=unit)
    ctx.metric("exact_bound", facts["exact_bound"], unit="share")
    for side, one in (("off", off), ("on", on)):
        for error, count in one.summary.error_kinds.items():
            ctx.log("replay error", tiers=side, error=error, count=count)
    if off.summary.errors == len(trace):
        raise BackendError(
            "the gateway answered no request of the rehearsal",
            where=ctx.asset,
            seen=next(iter(off.summary.error_kinds)),
        )
    draft = ctx.draft(Report.kind)
    draft.write_bytes(TRACE_FILE, "".join(trace_lines(trace)).encode())
    draft.write_json(
        Report.FILE,
        {
            "title": "Replay of a synthetic request stream, tiers off and on",
            "workload": facts,
            "sent": {
                "loop": "closed",
                "concurrency": config.concurrency,
                "endpoint": config.endpoint,
                "temperature": 0.0,
                "warm_up": config.warm_up,
                "tiers": {"off": [], "on": list(config.tiers)},
            },
            "reading": {
                "exact_bound": "share of requests that repeat an earlier prompt: no exact cache can "
                "answer more; the measured share is the metric tier_share.exact",
                "speedup": "requests per second with tiers on, over tiers off",
                "joules_per_request": "the gateway's own account over the round, idle included",
                "latency_ms": "nearest-rank percentiles from sending, closed loop: queueing at the "
                "server is bounded by the number of clients",
                "answers_equal": "share of requests with the same text in both rounds (greedy)",
            },
        },
    )
    draft.meta.update(requests=len(trace), exact_bound=facts["exact_bound"])
    return draft


def figures(off: Replay, on: Replay) -> dict[str, tuple[float, str]]:
    """Metric -> (value, unit). What was not accounted for is left out, never 0."""
    found: dict[str, tuple[float | None, str]] = {}
    for side, one in (("off", off), ("on", on)):
        summary = one.summary
        found[f"requests_per_s.{side}"] = (summary.requests_per_s, "requests/s")
        found[f"tokens_per_s.{side}"] = (summary.tokens_per_s, "tokens/s")
        for name, value in summary.latency_ms.items():
            found[f"latency_ms.{name}.{side}"] = (value, "ms")
        for name, value in summary.ttft_ms.items():
            found[f"ttft_ms.{name}.{side}"] = (value, "ms")
        found[f"joules_per_request.{side}"] = (one.per_request(one.joules), "J")
        found[f"usd_per_request.{side}"] = (one.per_request(one.usd), "USD")
        found[f"errors.{side}"] = (float(summary.errors), "requests")
    found["errors"] = (float(off.summary.errors + on.summary.errors), "requests")
    if off.summary.requests_per_s > 0:
        found["speedup"] = (on.summary.requests_per_s / off.summary.requests_per_s, "x")
    for tier, share in {"exact": 0.0, "model": 0.0, **on.summary.tier_share}.items():
        found[f"tier_share.{tier}"] = (share, "share")
    found["answers_equal"] = (equal_share(off.outcomes, on.outcomes), "share")
    return {name: (value, unit) for name, (value, unit) in found.items() if value is not None}


def _round(handle: GatewayHandle, trace: Sequence[TraceRequest], config: ReplayConfig) -> Replay:
    target = Target(handle.url, handle.api_key, handle.model, endpoint=config.endpoint)
    if config.warm_up:
        warm_up = [
            TraceRequest(0.0, f"warm-up {number}: once upon a time", config.max_tokens)
            for number in range(config.warm_up)
        ]
        _in_a_loop(target, warm_up, config.concurrency)
    return replay_trace(
        handle.url,
        handle.api_key,
        trace,
        model=handle.model,
        concurrency=config.concurrency,
        endpoint=config.endpoint,
        timeout_s=config.timeout_s,
    )


def _in_a_loop(
    target: Target, trace: Sequence[TraceRequest], concurrency: int | None
) -> tuple[list[Outcome], float]:
    """In an event loop of its own; beside a running one (a notebook has it) in a thread of its own too."""
    try:
        import uvloop  # half the client's CPU; not there on every system

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None

    def run() -> tuple[list[Outcome], float]:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(send_trace(target, trace, concurrency=concurrency))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1, thread_name_prefix="replay") as thread:
        return thread.submit(run).result()
