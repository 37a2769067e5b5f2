"""The past, as the other read models ask for it: results by digest, newest results, verdicts, steps.

The ledger answers equality questions only; what is derived from several answers is derived here, once.
Results never change, so they are kept; everything else is read anew each time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from tenfold.core.facts import AliasMove, Metric, Run, RunStep, StepResult, Verdict
from tenfold.core.ports import Ledger
from tenfold.queries.levels import levels_of

USAGE = "step."
"""Metrics that repeat a result's usage, so that checks can bound it; pages show the usage itself."""

KEPT_S = 1.0
"""How long the list of results is kept while its newest is the same."""


class Past:
    """A ledger with the handful of derived questions every read model needs."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._results: dict[str, StepResult] = {}
        self._all: list[StepResult] = []
        self._mark: tuple[str, float] | None = None
        self._read_s = -math.inf

    def result(self, key: str | None) -> StepResult | None:
        if not key:
            return None
        found = self._results.get(key)
        if found is None:
            found = self.ledger.result(key)
            if found is not None:
                self._results[key] = found
        return found

    def results(self) -> list[StepResult]:
        """Every result, oldest first. One page asks several times, so they are kept for a moment."""
        newest = self.ledger.read(StepResult, newest=True, limit=1)
        mark = (newest[0].key, newest[0].finished_at_s) if newest else None
        read_s = time.monotonic()
        if mark != self._mark or read_s - self._read_s > KEPT_S:
            self._all = self.ledger.read(StepResult)
            self._results.update((result.key, result) for result in self._all)
            self._mark, self._read_s = mark, read_s
        return self._all

    def made(self, digest: str, asset: str | None = None) -> StepResult | None:
        """The newest result whose output has this digest: under this name, if there is one.

        Two assets may have the same bytes and other checks; one may have been renamed since.
        """
        under: dict[str, Any] = {"asset": asset} if asset is not None else {}
        found = self.ledger.read(StepResult, digest=digest, newest=True, limit=1, **under)
        if not found and under:
            return self.made(digest)
        return found[0] if found else None

    def runs(self, limit: int | None = None) -> list[Run]:
        """Newest first, by the time they started."""
        found = sorted(self.ledger.read(Run), key=lambda run: run.started_at_s, reverse=True)
        return found[:limit]

    def steps(self, run_id: str) -> list[RunStep]:
        """What a run did, each asset after what it needs; of equals, what started first."""
        found = self.ledger.read(RunStep, run_id=run_id)
        levels = levels_of({step.asset: step.needs for step in found})
        late = float("inf")
        return sorted(found, key=lambda s: (levels[s.asset], s.started_at_s or late, s.asset))

    def verdicts(self, keys: Iterable[str]) -> dict[str, list[Verdict]]:
        """The standing verdicts of each key: the newest for each rule, in the order of the rules."""
        wanted = sorted({key for key in keys if key})
        standing: dict[str, dict[str, Verdict]] = {}
        if wanted:
            for verdict in self.ledger.read(Verdict, key=wanted):
                standing.setdefault(verdict.key, {})[verdict.rule] = verdict
        return {key: list(rules.values()) for key, rules in standing.items()}

    def scalars(self, keys: Iterable[str]) -> dict[str, dict[str, Metric]]:
        """The results among the metrics (no curves) of each key, the newest of each name."""
        wanted = sorted({key for key in keys if key})
        found: dict[str, dict[str, Metric]] = {}
        if wanted:
            for metric in self.ledger.read(Metric, key=wanted, step=None):
                if not metric.name.startswith(USAGE):
                    found.setdefault(metric.key, {})[metric.name] = metric
        return found

    def aliases(self) -> dict[str, list[AliasMove]]:
        """Every alias with its moves, oldest first."""
        found: dict[str, list[AliasMove]] = {}
        for move in self.ledger.read(AliasMove):
            found.setdefault(move.alias, []).append(move)
        return dict(sorted(found.items()))

    def pointing_at(self, digest: str) -> tuple[str, ...]:
        """The aliases that point at a digest now."""
        return tuple(alias for alias, moves in self.aliases().items() if moves[-1].digest == digest)


def newest_by_asset(results: Sequence[StepResult]) -> dict[str, StepResult]:
    """The newest result under each asset name."""
    found: dict[str, StepResult] = {}
    for result in results:
        known = found.get(result.asset)
        if known is None or result.finished_at_s >= known.finished_at_s:
            found[result.asset] = result
    return found
