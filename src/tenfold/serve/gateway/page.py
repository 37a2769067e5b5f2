"""A snapshot as Prometheus text.

The text follows the exposition format 0.0.4: HELP and TYPE once per family, label values escaped,
cumulative buckets with `+Inf`, a final newline. It reads no clock and counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tenfold.serve.gateway.snapshot import BUCKETS_S, NS, Family, Snapshot

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def rendered(snapshot: Snapshot, families: Iterable[Family]) -> bytes:
    """The families in their order, each with its series; a family without a series is left out."""
    series: dict[str, list[tuple[tuple[str, ...], Any]]] = {}
    for table in (snapshot.sums, snapshot.highest, snapshot.lowest, snapshot.histograms):
        for (name, *labels), value in table.items():
            series.setdefault(name, []).append((tuple(labels), value))
    lines: list[str] = []
    for family in families:
        found = series.get(family.name)
        if found:
            lines += _head(family)
            for values, value in sorted(found):
                lines += _series(family, dict(zip(family.labels, values, strict=True)), value)
    return ("\n".join(lines) + "\n").encode()


def _series(family: Family, labels: Mapping[str, str], value: Any) -> Iterable[str]:
    if family.kind == "histogram":
        return _histogram(family.name, labels, value)
    shown = value if family.per_unit == 1 else value / family.per_unit
    return [f"{family.name}{_labels(labels)} {shown!r}"]


def _histogram(name: str, labels: Mapping[str, str], counts: Sequence[int]) -> Iterable[str]:
    cumulative = 0
    for bound, count in zip([*map(repr, BUCKETS_S), "+Inf"], counts, strict=False):
        cumulative += count
        yield f"{name}_bucket{_labels({**labels, 'le': bound})} {cumulative}"
    yield f"{name}_sum{_labels(labels)} {counts[-1] / NS!r}"
    yield f"{name}_count{_labels(labels)} {cumulative}"


def _head(family: Family) -> list[str]:
    escaped = family.help.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {family.name} {escaped}", f"# TYPE {family.name} {family.kind}"]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
