"""The figures on top of a report: what a reader wants to know first."""

from __future__ import annotations

from typing import NamedTuple

from tenfold.console import figures
from tenfold.queries.runs import RunDetail


class Tile(NamedTuple):
    label: str
    value: str
    note: str


def tiles(detail: RunDetail) -> list[Tile]:
    """Only those whose figures were recorded."""
    run = detail.summary
    found = [Tile("The run took", figures.duration(run.wall_s), _counts(detail))]

    def value(step: str, name: str) -> float | None:
        metric = detail.metric(step, name)
        return None if metric is None else metric.value

    tokens, parameters = value("train.", "tokens"), value("train.", "parameters")
    if tokens is not None:
        note = f"by {figures.count(parameters)} parameters" if parameters else ""
        found.append(Tile("Tokens learned from", figures.count(tokens), note))
    bits, ngram = (
        value("evaluate.language", "bits_per_byte"),
        value("evaluate.language", "bits_per_byte.ngram"),
    )
    if bits is not None:
        note = f"an n-gram model: {figures.digits(ngram)}" if ngram else ""
        found.append(Tile("Bits per byte", figures.digits(bits), note))
    ratio, cost = (
        value("evaluate.compression", "bytes_ratio"),
        value("evaluate.compression", "perplexity_ratio"),
    )
    if ratio:
        note = f"for {figures.digits(cost, 4)}× the perplexity" if cost else ""
        found.append(Tile("Compressed to", figures.share(ratio), note))
    speedup = value("plan.replay", "speedup")
    if speedup is not None:
        exact = value("plan.replay", "tier_share.exact")
        note = f"{figures.share(exact)} of requests from the exact tier" if exact else "tiers on"
        found.append(Tile("Demand served", f"{figures.digits(speedup)}×", note))
    off, on = (
        value("plan.replay", "joules_per_request.off"),
        value("plan.replay", "joules_per_request.on"),
    )
    if off is not None and on is not None:
        found.append(
            Tile("Energy per request", figures.energy(on), f"{figures.energy(off)} without tiers")
        )
    return found


def _counts(detail: RunDetail) -> str:
    return ", ".join(f"{number} {status}" for status, number in detail.summary.counts.items())
