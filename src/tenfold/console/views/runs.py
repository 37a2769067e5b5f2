"""Every run, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.views.view import View
from tenfold.queries import Queries


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    runs = queries.runs()
    status = params.get("status", "")
    return {
        "runs": [run for run in runs if status in ("", run.status)],
        "status": status,
        "statuses": sorted({run.status for run in runs}),
    }


VIEW = View(name="runs", section="runs", path="/runs", load=load, regions=("list",))
