"""One asset by name, digest or alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.gauges import gauge_tiles_of
from tenfold.console.views.curves import curve_charts
from tenfold.console.views.drawing import lineage_drawing
from tenfold.console.views.view import View
from tenfold.queries import Queries


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    asset = queries.asset(params["name"])
    return {
        "asset": asset,
        "result": asset.result,
        "drawing": lineage_drawing(asset.lineage, prefix),
        "curves": curve_charts(asset.curves),
        "gauges": gauge_tiles_of(asset.findings) if asset.result.output.kind == "snapshot" else [],
    }


VIEW = View(
    name="asset", section="factory", path="/assets/{name:path}", load=load, regions=("body",)
)
