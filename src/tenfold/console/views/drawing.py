"""Graphs as drawings: the factory, and a lineage. Turns read models into nodes and links."""

from __future__ import annotations

from markupsafe import Markup

from tenfold.console.charts import DagNode, dag
from tenfold.console.figures import duration, short, size
from tenfold.console.pages import url
from tenfold.console.states import sign
from tenfold.queries.graph import FactoryGraph
from tenfold.queries.lineage import Lineage


def factory_drawing(graph: FactoryGraph, prefix: str | None, selected: str | None = None) -> Markup:
    """Without a prefix (in a report) nothing is linked."""
    nodes = [
        DagNode(
            id=asset.name,
            name=asset.name,
            note=f"{asset.state} {round(asset.done * 100)} %"
            if asset.state == "running"
            else f"{asset.state} · {duration(asset.wall_s)}"
            if asset.digest
            else asset.state,
            level=asset.level,
            state=asset.state,
            href=None if prefix is None else url(prefix, "factory", asset=asset.name),
            selected=asset.name == selected,
            hint=f"{asset.name} ({asset.step}): {asset.state}, {asset.reason}",
            icon=sign(asset.state),
        )
        for asset in graph.assets
    ]
    return dag(nodes, graph.edges, label=f"factory {graph.factory}: {len(nodes)} assets")


def lineage_drawing(lineage: Lineage, prefix: str | None) -> Markup:
    nodes = [
        DagNode(
            id=ancestor.digest,
            name=ancestor.asset,
            note=f"{short(ancestor.digest, 8)} · {size(ancestor.num_bytes)}"
            if ancestor.step
            else f"{short(ancestor.digest, 8)} · forgotten",
            level=ancestor.level,
            state="plain" if ancestor.step else "missing",
            href=None if prefix is None else url(prefix, "assets", ancestor.digest),
            selected=ancestor.digest == lineage.digest,
            hint=f"{ancestor.asset} {ancestor.digest[:12]}, made by {ancestor.step or 'unknown'}",
        )
        for ancestor in lineage.ancestors
    ]
    return dag(nodes, lineage.edges, label="lineage back to the sources")
