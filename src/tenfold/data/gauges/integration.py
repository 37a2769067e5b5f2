"""Integration efficiency: what share of what the sources hold could be read, and of that was kept.

Counts, not clocks: a figure in a file depends on the data alone. How long a source took stands among the
metrics of `data.ingest` (`SOURCE.first_record_s`, `SOURCE.records_per_s`), and a report shows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.data.gauges.gauge import Readings


def integration(content: Mapping[str, Any]) -> Readings:
    """Gauges `integration.*` and the ledger of losses, all counted over everything. `content`: a snapshot's."""
    found = Readings()
    metrics = content["metrics"]
    read = metrics["records"] + metrics["lost"]
    met = read + metrics["quarantined"]
    found.exact("integration.readable_share", "share", read / max(1, met), met)
    found.exact("integration.kept_share", "share", metrics["kept"] / max(1, read), read)
    sources = content.get("sources") or {}
    if sources:
        worst = min(sources.values(), key=lambda each: each["readable_share"])
        found.exact("integration.worst_source_readable_share", "share", worst["readable_share"],
                    worst["records"] + worst["quarantined"])  # fmt: skip
    found.tables["sources"] = {name: dict(facts) for name, facts in sorted(sources.items())}
    found.tables["losses"] = {
        "met": met,
        "quarantined": dict(content["quarantine"]),
        "lost": dict(content["lost"]),
        "marked": dict(content["drops"]),
        "kept": metrics["kept"],
    }
    return found
