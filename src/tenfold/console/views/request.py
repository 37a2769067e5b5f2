"""One answer, and the walk from it to the sources of what it was learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.views.drawing import lineage_drawing
from tenfold.console.views.view import View
from tenfold.queries import Queries


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    walk = queries.why(params["response_id"])
    return {
        "walk": walk,
        "request": walk.request,
        "drawing": lineage_drawing(walk.model.lineage, prefix) if walk.model else "",
    }


VIEW = View(
    name="request",
    section="traffic",
    path="/requests/{response_id}",
    load=load,
    regions=("walk",),
)
