"""A run in one table: what `tenfold demo` prints at its end and the report shows first. One place for both.

A row appears when its figure was recorded; nothing is filled in with zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tenfold.core.facts import Usage
from tenfold.queries.past import Past
from tenfold.queries.runs import RunDetail, StepView


class SummaryRow(NamedTuple):
    section: str
    label: str
    value: float
    unit: str


class Figure(NamedTuple):
    """A metric that belongs into the summary."""

    section: str
    label: str
    step: str
    """Beginning of the step's name; the same metric name may mean something else elsewhere."""
    metric: str
    unit: str
    """Used when the metric was recorded without one."""


FIGURES = (
    Figure("data", "documents kept", "data.curate", "documents", "documents"),
    Figure("data", "held out", "data.curate", "heldout.documents", "documents"),
    Figure("data", "documents removed", "data.curate", "removed", "documents"),
    Figure("data", "vocabulary", "data.tokenizer", "vocabulary", "tokens"),
    Figure("training", "tokens seen", "train.", "tokens", "tokens"),
    Figure("training", "speed", "train.", "tokens_per_s", "tokens/s"),
    Figure("training", "parameters", "train.", "parameters", ""),
    Figure("quality", "perplexity", "evaluate.language", "perplexity", "per token"),
    Figure("quality", "bits per byte", "evaluate.language", "bits_per_byte", "bits/byte"),
    Figure(
        "quality", "… of an n-gram model", "evaluate.language", "bits_per_byte.ngram", "bits/byte"
    ),
    Figure(
        "quality", "… of a unigram model", "evaluate.language", "bits_per_byte.unigram", "bits/byte"
    ),
    Figure("compression", "size before", "evaluate.compression", "bytes_before", "B"),
    Figure("compression", "size after", "evaluate.compression", "bytes_after", "B"),
    Figure("compression", "size before", "compress.", "bytes_before", "B"),
    Figure("compression", "size after", "compress.", "bytes_after", "B"),
    Figure("compression", "size ratio", "evaluate.compression", "bytes_ratio", "×"),
    Figure("compression", "speed ratio", "evaluate.compression", "speed_ratio", "×"),
    Figure("compression", "perplexity ratio", "evaluate.compression", "perplexity_ratio", "×"),
    Figure("serving", "throughput, tiers off", "plan.replay", "requests_per_s.off", "requests/s"),
    Figure("serving", "throughput, tiers on", "plan.replay", "requests_per_s.on", "requests/s"),
    Figure("serving", "gain", "plan.replay", "speedup", "×"),
    Figure("serving", "latency p50, tiers off", "plan.replay", "latency_ms.p50.off", "ms"),
    Figure("serving", "latency p50, tiers on", "plan.replay", "latency_ms.p50.on", "ms"),
    Figure("serving", "latency p95, tiers off", "plan.replay", "latency_ms.p95.off", "ms"),
    Figure("serving", "latency p95, tiers on", "plan.replay", "latency_ms.p95.on", "ms"),
    Figure("serving", "cost per request, tiers off", "plan.replay", "usd_per_request.off", "USD"),
    Figure("serving", "cost per request, tiers on", "plan.replay", "usd_per_request.on", "USD"),
    Figure(
        "serving", "energy per request, tiers off", "plan.replay", "joules_per_request.off", "J"
    ),
    Figure("serving", "energy per request, tiers on", "plan.replay", "joules_per_request.on", "J"),
    Figure("serving", "answers equal to tiers off", "plan.replay", "answers_equal", "share"),
    Figure(
        "governance", "bias: preference gap", "govern.bias", "bias.preference_gap_points", "points"
    ),
    Figure("governance", "bias: comparisons", "govern.bias", "bias.comparisons", "comparisons"),
    Figure("governance", "leaks found", "govern.leaks", "leaks.found", "leaks"),
)
SHARES = "tier_share."


def summary(past: Past, detail: RunDetail) -> list[SummaryRow]:
    """Sections in the order of the factory: time, data, training, quality, compression, serving, total."""
    rows = [*_time(past, detail.steps), *_figures(detail), *_total(past, detail)]
    return rows


def _time(past: Past, steps: tuple[StepView, ...]) -> Iterator[SummaryRow]:
    """Of the run that did the work: a skipped step shows what it took when it was made."""
    for step in steps:
        wall_s = _usage(past, step).wall_s or (step.wall_s if step.status == "ran" else 0.0)
        if wall_s:
            yield SummaryRow("time", step.asset, wall_s, "s")


def _figures(detail: RunDetail) -> Iterator[SummaryRow]:
    found: dict[tuple[str, str], SummaryRow] = {}
    for figure in FIGURES:
        metric = detail.metric(figure.step, figure.metric)
        if metric is not None:
            row = SummaryRow(figure.section, figure.label, metric.value, metric.unit or figure.unit)
            found.setdefault(row[:2], row)
    for row in [*_last_loss(detail), *_shares(detail)]:
        found.setdefault(row[:2], row)
    order = list(dict.fromkeys(figure.section for figure in FIGURES))
    yield from sorted(found.values(), key=lambda row: order.index(row.section))


def _last_loss(detail: RunDetail) -> Iterator[SummaryRow]:
    steps = {step.asset: step.step for step in detail.steps}
    for curve in detail.curves:
        if curve.name == "loss" and steps.get(curve.asset, "").startswith("train."):
            yield SummaryRow("training", "last loss", curve.values[-1], curve.unit)


def _shares(detail: RunDetail) -> Iterator[SummaryRow]:
    for step in detail.steps:
        if step.step.startswith("plan."):
            for metric in detail.results.get(step.asset, ()):
                if metric.name.startswith(SHARES):
                    tier = metric.name.removeprefix(SHARES)
                    yield SummaryRow("serving", f"answered by tier {tier}", metric.value, "share")


def _total(past: Past, detail: RunDetail) -> Iterator[SummaryRow]:
    usages = [_usage(past, step) for step in detail.steps]
    yield SummaryRow("total", "this run", detail.summary.wall_s, "s")
    joules = sum(usage.joules for usage in usages)
    if joules:
        yield SummaryRow("total", "energy to build", joules, "J")
    usd = sum(usage.usd for usage in usages)
    if usd:
        yield SummaryRow("total", "cost to build", usd, "USD")


def _usage(past: Past, step: StepView) -> Usage:
    result = past.result(step.key)
    return result.usage if result is not None else step.usage
