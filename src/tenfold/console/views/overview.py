"""What is live, what ran last, what the day cost, what is red."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.charts import columns, sparkline
from tenfold.console.figures import duration
from tenfold.console.views.drawing import factory_drawing
from tenfold.console.views.view import View
from tenfold.queries import Queries


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    found = queries.overview()
    today = found.today
    totals = [sum(values) for values in zip(*today.series.values(), strict=True)]
    return {
        "overview": found,
        "today": today,
        "spark": sparkline(totals, label="requests over the last 24 hours"),
        "drawing": factory_drawing(found.graph, prefix),
        "chart": columns(
            today.times_s,
            today.series,
            bucket_s=today.bucket_s,
            label="requests by tier over the last 24 hours",
            y_unit=f"requests per {duration(today.bucket_s)}",
            until_s=today.until_s,
            width=560,
            height=220,
        ),
    }


VIEW = View(
    name="overview",
    section="overview",
    path="/",
    load=load,
    regions=("tiles", "factory", "traffic", "runs", "checks", "shell"),
)
