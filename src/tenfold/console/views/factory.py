"""The factory graph; one asset may be chosen in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.views.drawing import factory_drawing
from tenfold.console.views.view import View
from tenfold.errors import UnknownName
from tenfold.queries import Queries


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    graph = queries.factory_graph()
    name = params.get("asset")
    chosen = next((asset for asset in graph.assets if asset.name == name), None)
    if name and chosen is None:
        raise UnknownName("asset", name, [asset.name for asset in graph.assets])
    return {
        "graph": graph,
        "chosen": chosen,
        "users": [b for a, b in graph.edges if chosen and a == chosen.name],
        "drawing": factory_drawing(graph, prefix, name),
    }


VIEW = View(
    name="factory", section="factory", path="/factory", load=load, regions=("drawing", "assets")
)
