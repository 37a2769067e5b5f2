"""All gauges of one snapshot: what is asked for, the sample, the families, the figures. Records nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from tenfold.core.asset import Snapshot
from tenfold.data import record
from tenfold.data.gauges import interval, rates
from tenfold.data.gauges.coverage import coverage
from tenfold.data.gauges.diversity import diversity
from tenfold.data.gauges.freshness import freshness
from tenfold.data.gauges.gauge import Figure, Readings
from tenfold.data.gauges.integration import integration
from tenfold.data.gauges.profile import Profile
from tenfold.data.gauges.relevance import relevance
from tenfold.data.gauges.sample import Sample, draw

_LANGUAGES = 1000
"""Records whose language is found out where no operator has done so."""
_EXAMPLES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a snapshot."""

    records: int = 4000
    words: int = 5000
    block: int = 200
    by: str = "record"
    as_of_us: int
    half_life_days: Mapping[str, float] = field(default_factory=dict)
    queries: Sequence[str] = ()
    answered_at: float = 0.75
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threshold: float = 0.25
    seed: int = 0


def readings(snapshot: Snapshot, wanted: Wanted, target: Profile | None) -> tuple[Readings, Sample]:
    sample = draw(snapshot, wanted.records, by=wanted.by)
    content = snapshot.content
    languages = _languages(sample)
    found = Readings()
    found.add(diversity(sample, words=wanted.words, block=wanted.block, languages=languages))
    found.add(freshness(sample, half_lives(content, wanted.half_life_days), wanted.as_of_us))
    if target is not None:
        found.add(relevance(sample, target, threshold=wanted.threshold, seed=wanted.seed))
    found.add(
        coverage(
            sample,
            queries=wanted.queries,
            answered_at=wanted.answered_at,
            classes=wanted.classes,
            languages=languages,
        )
    )
    found.add(integration(content))
    found.add(rates.duplicates(sample, content))
    found.add(rates.personal(sample))
    found.add(rates.errors(sample, content))
    return found, sample


def measured(snapshot: Snapshot, wanted: Wanted, target: Profile | None = None) -> dict[str, Any]:
    """The report's content: `figures`, `absent`, `tables`, `sample`, `examples`; plain JSON values."""
    found, sample = readings(snapshot, wanted, target)
    weights = interval.weights(sample.cluster, wanted.seed)
    figures = [interval.read(gauge, weights, wanted.seed) for gauge in found.gauges]
    for gauge, figure in zip(found.gauges, figures, strict=True):
        if figure is None:
            found.absent[gauge.name] = "no record in the sample that it is known of"
    return {
        "snapshot": snapshot.digest,
        "figures": [_plain(figure) for figure in figures if figure is not None],
        "absent": dict(sorted(found.absent.items())),
        "tables": found.tables,
        "sample": about(sample),
        "examples": [
            {"segment": segment, "row": row} for segment, row in sample.places[:_EXAMPLES]
        ],
    }


def about(sample: Sample) -> dict[str, Any]:
    return {
        "records": len(sample),
        "population": sample.population,
        "whole": sample.whole,
        "row_groups": sample.groups_read,
        "rows_met": sample.rows_met,
        "clusters": len(set(sample.cluster.tolist())),
    }


def half_lives(content: Mapping[str, Any], given: Mapping[str, float]) -> dict[str, float | None]:
    """Source -> days: as the source says, or as given here, which comes first."""
    said = {
        name: each.get("half_life_days") for name, each in (content.get("sources") or {}).items()
    }
    return {**said, **given}


def _languages(sample: Sample) -> Sequence[str | None]:
    """By the column of the operator, else by the same model on a part of the sample."""
    if sample.has("language.label"):
        return sample.column("language.label")
    if not sample.has(record.TEXT):
        return []
    from tenfold.data.text.language import Language

    texts = list(sample.column(record.TEXT)[:_LANGUAGES])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(texts, pa.string()), pa.nulls(len(texts), pa.string())],
        [record.TEXT, record.DROP],
    )
    labels: list[str | None] = Language(keep=())(batch).column("language.label").to_pylist()
    return labels


def _plain(figure: Figure) -> dict[str, Any]:
    return asdict(figure)
