"""The main gauges of a snapshot in words, with their intervals: what the report and the console show first.

Knows the names of gauges; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tenfold.console import figures
from tenfold.core.facts import Metric

WORDS = {
    "diversity.vendi": "Records as different as",
    "diversity.source_entropy": "Source entropy",
    "diversity.distinct_2": "Distinct word pairs",
    "freshness.weight_mean": "Mean freshness weight",
    "freshness.age_median_days": "Median age",
    "relevance.mean": "Relevance to the target",
    "coverage.queries": "Queries answered",
    "integration.kept_share": "Kept of what was read",
    "duplicates.twins": "Equal others per record",
    "pii.record_share": "Records with personal data",
    "errors.quarantined_share": "Could not be read",
}
"""The main gauges, in the words of a tile."""


class Tile(NamedTuple):
    label: str
    value: str
    note: str


def gauge_tiles(found: Sequence[Mapping[str, Any]]) -> list[Tile]:
    """Of figures as a report holds them: the main ones that were measured."""
    by_name = {each["name"]: each for each in found}
    return [
        Tile(words, figures.figure(each["value"], each["unit"]), interval_of(each))
        for name, words in WORDS.items()
        if (each := by_name.get(name)) is not None
    ]


def gauge_tiles_of(findings: Iterable[Metric]) -> list[Tile]:
    """Of what reports about a snapshot recorded: `NAME`, `NAME.low`, `NAME.high`."""
    by_name = {metric.name: metric for metric in findings}
    found = []
    for name, words in WORDS.items():
        if metric := by_name.get(name):
            edges = [by_name.get(f"{name}.{edge}") for edge in ("low", "high")]
            known = [figures.figure(edge.value, metric.unit) for edge in edges if edge]
            found.append(Tile(words, figures.figure(metric.value, metric.unit), " to ".join(known)))
    return found


def interval_of(each: Mapping[str, Any]) -> str:
    """`2.1 to 2.4`; `counted` for what is exact."""
    if each.get("exact"):
        return f"counted over {figures.count(each['records'])}" if "records" in each else "counted"
    if each["low"] is None:
        return "no interval"
    unit = each["unit"] if "change" not in each or each["unit"] != "share" else ""
    low, high = (figures.figure(each[edge], unit) for edge in ("low", "high"))
    return f"{low} to {high}"
