"""Read models: what the console, the report, HTTP and the command line show, in one place.

Everything here reads a `Ledger` (and, for exact states, a plan) and returns plain dataclasses that
`as_json` turns into JSON. Nothing here writes, serves or draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tenfold.core.facts import Event, Metric
from tenfold.core.plan import Plan
from tenfold.core.ports import Ledger
from tenfold.errors import TenfoldError
from tenfold.queries.assets import AssetView, asset_view, resolve
from tenfold.queries.cursor import cursor
from tenfold.queries.datasets import (
    Dataset,
    DatasetView,
    Difference,
    dataset_view,
    datasets,
    difference,
)
from tenfold.queries.graph import FactoryGraph, factory_graph
from tenfold.queries.lineage import Lineage, lineage
from tenfold.queries.models import ModelsView, models_view
from tenfold.queries.overview import DAY_S, Overview, overview
from tenfold.queries.past import Past
from tenfold.queries.plain import as_json
from tenfold.queries.runs import RunDetail, RunSummary, find_run, run_detail, run_summaries
from tenfold.queries.summary import SummaryRow, summary
from tenfold.queries.traffic import Traffic, traffic
from tenfold.queries.why import Why, why

__all__ = ["Queries", "as_json"]

PLAN_S = 5.0
"""How long a plan is good enough for the states of a page."""


class Queries:
    """Questions to a ledger. Cheap to make, holds nothing but immutable results."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        plan: Callable[[], Plan] | None = None,
        factory: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`plan` makes the states of the factory graph exact; without it the ledger alone must do."""
        self.ledger = ledger
        self._past = Past(ledger)
        self._plan = plan
        self._factory = factory
        self._now = now
        self._kept: tuple[float, Plan | None] = (-PLAN_S, None)

    def now_s(self) -> float:
        """Seconds since the epoch, by the clock these questions are asked with."""
        return self._now()

    def overview(self) -> Overview:
        return overview(self._past, self._planned(), self._factory, self._now())

    def factory_graph(self) -> FactoryGraph:
        return factory_graph(self._past, self._planned(), self._factory)

    def runs(self, limit: int = 100) -> list[RunSummary]:
        """Newest first."""
        return run_summaries(self._past, self._now(), limit)

    def run(self, run_id: str | None = None, *, max_events: int = 200) -> RunDetail:
        """One run, the newest for None. Raises UnknownName."""
        found = find_run(self._past, run_id)
        return run_detail(self._past, found, self._now(), max_events=max_events)

    def events(self, run_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """A run's log records after a `seq`, oldest first."""
        return self.ledger.read(Event, run_id=run_id, after=after, limit=limit)

    def models(self) -> ModelsView:
        return models_view(self._past)

    def lineage(self, name: str) -> Lineage:
        """Of an alias, an asset or a digest, back to the sources. Raises UnknownName."""
        return lineage(self._past, resolve(self._past, name))

    def asset(self, name: str) -> AssetView:
        """By alias, name, digest or the beginning of one. Raises UnknownName."""
        return asset_view(self._past, name)

    def datasets(self) -> list[Dataset]:
        """Everything that holds records, the newest of each, by name."""
        return datasets(self._past)

    def dataset(self, name: str) -> DatasetView:
        """By alias, name or digest, with what was lost on the way. Raises UnknownName."""
        return dataset_view(self._past, name)

    def difference(self, before: str, after: str) -> Difference:
        """What two datasets, or two versions of one, differ in. Raises UnknownName."""
        return difference(self._past, before, after)

    def traffic(
        self,
        since_s: float | None = None,
        bucket_s: float | None = None,
        source: str | None = None,
        *,
        num_recent: int = 50,
    ) -> Traffic:
        """Requests since a time (default: the last 24 hours), from one source or all of them."""
        now = self._now()
        return traffic(
            self._past,
            since_s=now - DAY_S if since_s is None else since_s,
            until_s=now,
            bucket_s=bucket_s,
            source=source,
            num_recent=num_recent,
        )

    def why(self, response_id: str) -> Why:
        """From one answer back to the sources of what it was learned from. Raises UnknownName."""
        return why(self._past, response_id)

    def metrics(self, *, after: int = 0, limit: int | None = None, **where: Any) -> list[Metric]:
        """Single records in the order they were written, by any of their fields."""
        return self.ledger.read(Metric, after=after, limit=limit, **where)

    def summary(self, run_id: str | None = None) -> list[SummaryRow]:
        """A run in one table of (section, label, value, unit). Raises UnknownName."""
        return summary(self._past, self.run(run_id, max_events=0))

    def cursor(self) -> str:
        """Where the ledger is now: changes whenever something that a page shows has changed."""
        return cursor(self.ledger)

    def _planned(self) -> Plan | None:
        """A plan of some seconds ago will do: it looks at every source, and pages ask often."""
        if self._plan is None:
            return None
        if not 0 <= self._now() - self._kept[0] < PLAN_S:
            try:
                self._kept = (self._now(), self._plan())
            except TenfoldError:  # a source that cannot be read: the ledger alone must do
                self._kept = (self._now(), None)
        return self._kept[1]
