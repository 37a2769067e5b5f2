"""The first page: what is live, what ran last, what today cost, and what is red."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.core.facts import Verdict
from tenfold.core.plan import Plan
from tenfold.queries.graph import FactoryGraph, factory_graph
from tenfold.queries.models import AliasView, models_view
from tenfold.queries.past import Past
from tenfold.queries.runs import RunSummary, run_summaries
from tenfold.queries.traffic import Traffic, traffic

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    factory: str
    graph: FactoryGraph
    aliases: tuple[AliasView, ...]
    runs: tuple[RunSummary, ...]
    """Newest first."""
    red: tuple[Verdict, ...]
    """Of what stands now: the newest result of each asset."""
    today: Traffic
    """The last 24 hours, all sources."""
    build_joules: float
    """Of the runs started in the last 24 hours."""
    build_usd: float

    @property
    def last_run(self) -> RunSummary | None:
        return self.runs[0] if self.runs else None


def overview(past: Past, plan: Plan | None, factory: str | None, now_s: float) -> Overview:
    graph = factory_graph(past, plan, factory)
    runs = run_summaries(past, now_s, 20)
    today = [run for run in runs if run.started_at_s >= now_s - DAY_S]
    return Overview(
        factory=graph.factory,
        graph=graph,
        aliases=models_view(past).aliases,
        runs=tuple(runs[:6]),
        red=tuple(v for asset in graph.assets for v in asset.verdicts if v.state != "green"),
        today=traffic(
            past, since_s=now_s - DAY_S, until_s=now_s, bucket_s=None, source=None, num_recent=8
        ),
        build_joules=sum(run.joules for run in today),
        build_usd=sum(run.usd for run in today),
    )
