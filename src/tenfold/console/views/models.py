"""Aliases with their history, versions with figures and checks, and the lineage of the chosen one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.views.drawing import lineage_drawing
from tenfold.console.views.view import View
from tenfold.errors import UnknownName
from tenfold.queries import Queries

SHOWN = (
    "perplexity",
    "bits_per_byte",
    "perplexity_ratio",
    "bytes_ratio",
    "speed_ratio",
)
"""Metrics that get a column, when any version has them."""


def load(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
    found = queries.models()
    wanted = params.get("version", "")
    live = next((a.digest for a in found.aliases if a.digest), None)
    digest = wanted or live
    chosen = next((v for v in found.versions if digest and v.digest.startswith(digest)), None)
    if wanted and chosen is None:
        raise UnknownName("model version", wanted, [v.digest[:12] for v in found.versions])
    chosen = chosen or (found.versions[0] if found.versions else None)
    return {
        "models": found,
        "chosen": chosen,
        "columns": [name for name in SHOWN if any(name in v.metrics for v in found.versions)],
        "drawing": lineage_drawing(queries.lineage(chosen.digest), prefix) if chosen else "",
    }


VIEW = View(
    name="models",
    section="models",
    path="/models",
    load=load,
    regions=("aliases", "versions", "chosen"),
)
