"""Traffic by tier over a window and a source, both in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.charts import columns
from tenfold.console.figures import duration
from tenfold.console.views.view import View
from tenfold.queries import Queries

WINDOWS_S = {"15m": 900.0, "1h": 3600.0, "6h": 21_600.0, "24h": 86_400.0, "7d": 604_800.0}
DEFAULT = "24h"


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    window = params.get("window", DEFAULT)
    if window not in WINDOWS_S:
        window = DEFAULT
    source = params.get("source") or None
    found = queries.traffic(queries.now_s() - WINDOWS_S[window], source=source, num_recent=30)
    return {
        "traffic": found,
        "window": window,
        "windows": tuple(WINDOWS_S),
        "source": source,
        "idle_joules": sum(w.idle_joules for w in found.energy),
        "energy_joules": sum(w.joules for w in found.energy),
        "methods": sorted({w.method for w in found.energy}),
        "uncertainty": max((w.uncertainty for w in found.energy), default=0.0),
        "chart": columns(
            found.times_s,
            found.series,
            bucket_s=found.bucket_s,
            label=f"requests by tier, {window}",
            y_unit=f"requests per {duration(found.bucket_s)}",
            until_s=found.until_s,
        ),
    }


VIEW = View(
    name="traffic",
    section="traffic",
    path="/traffic",
    load=load,
    regions=("tiles", "chart", "tiers", "recent"),
)
