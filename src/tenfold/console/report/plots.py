"""The plots of a report: each a title, a drawing and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from tenfold.console import figures
from tenfold.console.charts import Bar, bars
from tenfold.console.views.curves import curve_charts
from tenfold.queries.runs import RunDetail


class Plot(NamedTuple):
    title: str
    drawing: Markup
    caption: str


Wanted = tuple[str, str, str]
"""(label, metric, CSS class)"""


def plots(detail: RunDetail) -> list[Plot]:
    """In the order of the factory; a plot none of whose figures were recorded is not there."""
    return [
        *_curves(detail),
        *_quality(detail),
        *_compression(detail),
        *_serving(detail),
        *_energy(detail),
    ]


def _curves(detail: RunDetail) -> Iterator[Plot]:
    for curve in curve_charts(detail.curves):
        caption = (
            f"{curve.name} of {curve.asset} over its steps; the line is an exponential average"
        )
        yield Plot(f"{curve.name.capitalize()} while {curve.asset} learned", curve.chart, caption)


def _quality(detail: RunDetail) -> Iterator[Plot]:
    step = "evaluate.language"
    rows = _rows(
        detail,
        step,
        [
            ("this model", "bits_per_byte", "s1"),
            ("n-gram model", "bits_per_byte.ngram", "s2"),
            ("unigram model", "bits_per_byte.unigram", "s2"),
        ],
        interval=("bits_per_byte.low", "bits_per_byte.high"),
    )
    if rows:
        yield Plot(
            "Bits per byte on held-out text",
            bars(rows, label="bits per byte, lower is better"),
            "lower is better; the baselines were counted on the same training split",
        )


def _compression(detail: RunDetail) -> Iterator[Plot]:
    step = "evaluate.compression"
    groups = (
        ("Size", "bytes", "on disk"),
        ("Perplexity", "perplexity", "on held-out text, lower is better"),
        ("Generating", "decode_tokens_per_s", "tokens per second of one stream, higher is better"),
    )
    for title, name, caption in groups:
        rows = _rows(
            detail, step, [("before", f"{name}_before", "s2"), ("after", f"{name}_after", "s1")]
        )
        if len(rows) == 2:
            label = f"{title} before and after compression"
            yield Plot(label, bars(rows, label=label), caption)


def _serving(detail: RunDetail) -> Iterator[Plot]:
    groups: Sequence[tuple[str, Sequence[Wanted], str]] = (
        (
            "Requests per second",
            (("tiers off", "requests_per_s.off", "s2"), ("tiers on", "requests_per_s.on", "s1")),
            "the same request stream against the same gateway; higher is better",
        ),
        (
            "Latency",
            (
                ("p50, tiers off", "latency_ms.p50.off", "s2"),
                ("p50, tiers on", "latency_ms.p50.on", "s1"),
                ("p95, tiers off", "latency_ms.p95.off", "s2"),
                ("p95, tiers on", "latency_ms.p95.on", "s1"),
            ),
            "from sending to the last byte; lower is better",
        ),
        (
            "Energy per request",
            (
                ("tiers off", "joules_per_request.off", "s2"),
                ("tiers on", "joules_per_request.on", "s1"),
            ),
            "of the gateway and its backend over the round, idle included",
        ),
        (
            "Cost per request",
            (("tiers off", "usd_per_request.off", "s2"), ("tiers on", "usd_per_request.on", "s1")),
            "at the tariff of the factory file",
        ),
    )
    for title, wanted, caption in groups:
        rows = _rows(detail, "plan.replay", wanted)
        if rows:
            yield Plot(title, bars(rows, label=f"{title}, tiers off and on"), caption)
    shares = [
        Bar(
            label=metric.name.removeprefix("tier_share."),
            value=metric.value,
            text=figures.share(metric.value),
            cls=f"t-{metric.name.removeprefix('tier_share.')}",
        )
        for step in detail.steps
        if step.step == "plan.replay"
        for metric in detail.results.get(step.asset, ())
        if metric.name.startswith("tier_share.")
    ]
    if shares:
        yield Plot(
            "Where answers came from",
            bars(shares, label="share of answers by tier"),
            "share of answered requests, tiers on",
        )


def _energy(detail: RunDetail) -> Iterator[Plot]:
    rows = [
        Bar(
            label=step.asset,
            value=step.usage.joules,
            text=f"{figures.energy(step.usage.joules)} ± {figures.share(step.usage.energy_uncertainty)}",
            spread=step.usage.joules * step.usage.energy_uncertainty,
        )
        for step in detail.steps
        if step.usage.joules
    ]
    if rows:
        methods = sorted({s.usage.energy_method for s in detail.steps if s.usage.joules})
        yield Plot(
            "Energy of each step",
            bars(rows, label="energy per step, with uncertainty", value_width=120),
            f"{', '.join(methods)}; whiskers are one standard deviation",
        )


def _rows(
    detail: RunDetail,
    step: str,
    wanted: Sequence[Wanted],
    *,
    interval: tuple[str, str] | None = None,
) -> list[Bar]:
    """`interval` names the bounds of the first bar's 95 % interval."""
    rows = []
    for index, (label, name, cls) in enumerate(wanted):
        metric = detail.metric(step, name)
        if metric is None:
            continue
        edges = [detail.metric(step, edge) for edge in interval or () if index == 0]
        known = [edge.value for edge in edges if edge is not None]
        rows.append(
            Bar(
                label=label,
                value=metric.value,
                text=figures.figure(metric.value, metric.unit),
                cls=cls,
                spread=(max(known) - min(known)) / 2 if len(known) == 2 else 0.0,
            )
        )
    return rows
