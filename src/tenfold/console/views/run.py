"""One run: Gantt, curves, steps with what they took, results, checks, log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tenfold.console.charts import Span, gantt
from tenfold.console.pages import url
from tenfold.console.views.curves import curve_charts
from tenfold.console.views.view import View
from tenfold.queries import Queries
from tenfold.queries.runs import RunDetail

LATEST = "latest"
"""In the address: whatever run is the newest."""


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    detail = queries.run(_run_id(params))
    return {
        "detail": detail,
        "run": detail.summary,
        "gantt": run_gantt(detail, prefix),
        "curves": curve_charts(detail.curves),
        "verdicts": [v for step in detail.steps for v in step.verdicts],
        "methods": sorted({s.usage.energy_method for s in detail.steps if s.usage.joules}),
        "uncertainty": max((s.usage.energy_uncertainty for s in detail.steps), default=0.0),
    }


def run_gantt(detail: RunDetail, prefix: str | None) -> Markup:
    started = detail.summary.started_at_s
    spans = [
        Span(
            label=step.asset,
            start_s=step.started_at_s - started if step.started_at_s else None,
            wall_s=step.wall_s,
            status=step.status,
            note=step.reason,
            href=url(prefix, "assets", step.digest) if prefix and step.digest else None,
        )
        for step in detail.steps
    ]
    return gantt(
        spans, total_s=detail.summary.wall_s, label=f"steps of {detail.summary.id} over time"
    )


def log_of(queries: Queries, params: Mapping[str, str]) -> str:
    return queries.run(_run_id(params), max_events=0).summary.id


def _run_id(params: Mapping[str, str]) -> str | None:
    run_id = params.get("run_id", LATEST)
    return None if run_id == LATEST else run_id


VIEW = View(
    name="run",
    section="runs",
    path="/runs/{run_id}",
    load=load,
    regions=("head", "gantt", "curves", "steps", "results"),
    log_of=log_of,
)
