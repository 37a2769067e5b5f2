"""A run in one table: what `tenfold demo` prints at its end and the report shows first. One place for both.

A row appears when its figure was recorded; nothing is filled in with zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tenfold.core.facts import Usage
from tenfold.queries.past import Past
from tenfold.queries.runs import RunDetail, StepView


class SummaryRow(NamedTuple):
    section: str
    label: str
    value: float
    unit: str
    column: str = ""
    """Which side of a comparison the figure is: before or after, tiers off or on. Empty: of none."""


class SummaryLine(NamedTuple):
    """One label with all its figures, by column."""

    label: str
    cells: dict[str, SummaryRow]


class SummarySection(NamedTuple):
    name: str
    columns: tuple[str, ...]
    """Headings of the comparison in this section; empty: each line has one figure."""
    lines: tuple[SummaryLine, ...]


class Figure(NamedTuple):
    """A metric that belongs into the summary."""

    section: str
    label: str
    step: str
    """Beginning of the step's name; the same metric name may mean something else elsewhere."""
    metric: str
    unit: str
    """Used when the metric was recorded without one."""
    column: str = ""


CHANGE = "change"
"""The later side over the earlier one."""
OFF, ON = "tiers off", "tiers on"


def compared(label: str, metric: str, ratio: str, unit: str) -> tuple[Figure, ...]:
    """Before and after compression, and the ratio the step recorded."""
    step = "evaluate.compression"
    return (
        Figure("compression", label, step, f"{metric}_before", unit, "before"),
        Figure("compression", label, step, f"{metric}_after", unit, "after"),
        Figure("compression", label, step, ratio, "×", CHANGE),
    )


def replayed(label: str, metric: str, unit: str) -> tuple[Figure, ...]:
    """The same requests without and with tiers."""
    return (
        Figure("serving", label, "plan.replay", f"{metric}.off", unit, OFF),
        Figure("serving", label, "plan.replay", f"{metric}.on", unit, ON),
    )


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
    Figure("compression", "size", "evaluate.compression", "bytes_before", "B", "before"),
    Figure("compression", "size", "evaluate.compression", "bytes_after", "B", "after"),
    Figure("compression", "size", "evaluate.compression", "bytes_ratio", "×", CHANGE),
    Figure("compression", "size", "compress.", "bytes_before", "B", "before"),
    Figure("compression", "size", "compress.", "bytes_after", "B", "after"),
    *compared("generation", "decode_tokens_per_s", "speed_ratio", "tokens/s"),
    *compared("perplexity", "perplexity", "perplexity_ratio", "per token"),
    *replayed("throughput", "requests_per_s", "requests/s"),
    Figure("serving", "throughput", "plan.replay", "speedup", "×", CHANGE),
    *replayed("latency p50", "latency_ms.p50", "ms"),
    *replayed("latency p95", "latency_ms.p95", "ms"),
    *replayed("cost per request", "usd_per_request", "USD"),
    *replayed("energy per request", "joules_per_request", "J"),
    Figure("serving", "same answers as off", "plan.replay", "answers_equal", "share", ON),
    Figure(
        "governance", "bias: preference gap", "govern.bias", "bias.preference_gap_points", "points"
    ),
    Figure("governance", "bias: comparisons", "govern.bias", "bias.comparisons", "comparisons"),
    Figure("governance", "samples that leak", "govern.leaks", "leaks.found", "samples"),
)
SHARES = "tier_share."


def summary(past: Past, detail: RunDetail) -> list[SummaryRow]:
    """Sections in the order of the factory: time, data, training, quality, compression, serving, total."""
    rows = [*_time(past, detail.steps), *_figures(detail), *_total(past, detail)]
    return rows


def sections(rows: Iterable[SummaryRow]) -> list[SummarySection]:
    """The rows as people compare them: figures with the same label on one line, in columns.

    Two sides without a recorded change get one: the later over the earlier.
    """
    lines: dict[str, dict[str, dict[str, SummaryRow]]] = {}
    for row in rows:
        lines.setdefault(row.section, {}).setdefault(row.label, {})[row.column] = row
    found = []
    for name, labels in lines.items():
        for label, cells in labels.items():
            if len(cells) == 2 and CHANGE not in cells:
                first, last = cells.values()
                if first.value:
                    ratio = last.value / first.value
                    cells[CHANGE] = SummaryRow(name, label, ratio, "×", CHANGE)
        columns = dict.fromkeys(c for cells in labels.values() for c in cells if c)
        ordered = sorted(columns, key=lambda column: column == CHANGE)
        made = tuple(SummaryLine(label, cells) for label, cells in labels.items())
        found.append(SummarySection(name, tuple(ordered), made))
    return found


def _time(past: Past, steps: tuple[StepView, ...]) -> Iterator[SummaryRow]:
    """Of the run that did the work: a skipped step shows what it took when it was made."""
    for step in steps:
        wall_s = _usage(past, step).wall_s or (step.wall_s if step.status == "ran" else 0.0)
        if wall_s:
            yield SummaryRow("time", step.asset, wall_s, "s")


def _figures(detail: RunDetail) -> Iterator[SummaryRow]:
    found: dict[tuple[str, str, str], SummaryRow] = {}
    for figure in FIGURES:
        metric = detail.metric(figure.step, figure.metric)
        if metric is not None:
            unit = metric.unit or figure.unit
            row = SummaryRow(figure.section, figure.label, metric.value, unit, figure.column)
            found.setdefault((row.section, row.label, row.column), row)
    for row in [*_last_loss(detail), *_shares(detail)]:
        found.setdefault((row.section, row.label, row.column), row)
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
                    yield SummaryRow(
                        "serving", f"answered by tier {tier}", metric.value, "share", ON
                    )


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
