"""Graphs as drawings: the factory, and a lineage. Turns read models into nodes and links."""

from __future__ import annotations

from markupsafe import Markup

from tenfold.console.charts import DagNode, dag
from tenfold.console.figures import duration, short, size
from tenfold.console.pages import url
from tenfold.console.states import sign
from tenfold.queries.graph import FactoryGraph
from tenfold.queries.levels import levels_of
from tenfold.queries.lineage import Lineage
from tenfold.queries.runs import RunDetail


def factory_drawing(graph: FactoryGraph, prefix: str, selected: str | None = None) -> Markup:
    """The factory as it stands; each asset is a link that chooses it."""
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
            href=url(prefix, "factory", asset=asset.name),
            selected=asset.name == selected,
            hint=f"{asset.name} ({asset.step}): {asset.state}, {asset.reason}",
            icon=sign(asset.state),
        )
        for asset in graph.assets
    ]
    return dag(nodes, graph.edges, label=f"factory {graph.factory}: {len(nodes)} assets")


def run_drawing(detail: RunDetail) -> Markup:
    """The factory as one run met it: what it made, skipped, or could not make."""
    needs = {step.asset: step.needs for step in detail.steps}
    levels = levels_of(needs)
    nodes = [
        DagNode(
            id=step.asset,
            name=step.asset,
            note=f"{step.status} · {duration(step.wall_s)}" if step.wall_s else step.status,
            level=levels[step.asset],
            state=step.status,
            hint=f"{step.asset} ({step.step}): {step.status}, {step.error or step.reason}",
            icon=sign(step.status),
        )
        for step in detail.steps
    ]
    edges = [(need, asset) for asset, found in needs.items() for need in found]
    return dag(nodes, edges, label=f"factory {detail.summary.factory} in {detail.summary.id}")


def lineage_drawing(lineage: Lineage, prefix: str) -> Markup:
    nodes = [
        DagNode(
            id=ancestor.digest,
            name=ancestor.asset,
            note=f"{short(ancestor.digest, 8)} · {size(ancestor.num_bytes)}"
            if ancestor.step
            else f"{short(ancestor.digest, 8)} · forgotten",
            level=ancestor.level,
            state="plain" if ancestor.step else "missing",
            href=url(prefix, "assets", ancestor.digest),
            selected=ancestor.digest == lineage.digest,
            hint=f"{ancestor.asset} {ancestor.digest[:12]}, made by {ancestor.step or 'unknown'}",
        )
        for ancestor in lineage.ancestors
    ]
    return dag(nodes, lineage.edges, label="lineage back to the sources")
