"""Checks held against recorded metrics. Rules are not part of a key: they are judged anew whenever they
are asked about, so a changed threshold needs no rebuild.
"""

from __future__ import annotations

from collections.abc import Mapping

from tenfold.core.checks import Check, judge
from tenfold.core.facts import Metric, StepResult, Verdict
from tenfold.core.graph import Node
from tenfold.core.ports import Clock, Ledger
from tenfold.factory.lineage import Lineage


class Judging:
    def __init__(self, factory: str, ledger: Ledger, clock: Clock) -> None:
        self._factory = factory
        self._ledger = ledger
        self._clock = clock
        self._lineage = Lineage(ledger)

    def verdicts(
        self, node: Node, key: str, run_id: str, metrics: Mapping[str, float] | None = None
    ) -> list[Verdict]:
        """How every check of a node comes out for a key; its metrics are read unless they are given."""
        if not node.checks:
            return []
        values = self.metrics(key) if metrics is None else metrics
        found = []
        for check in node.checks:
            value = values.get(check.metric)
            judgement = judge(check, value, self._baseline(node, check, key))
            found.append(
                Verdict(
                    key=key,
                    run_id=run_id,
                    asset=node.name,
                    rule=check.rule,
                    metric=check.metric,
                    value=value,
                    state=judgement.state,
                    reason=judgement.reason,
                    at_s=self._clock.now(),
                )
            )
        return found

    def blocking(self, node: Node, key: str) -> str | None:
        """Why nothing may be built on this result; None when nothing stands in the way."""
        strict = [check for check in node.checks if check.blocks == "run"]
        if not strict:
            return None
        values = self.metrics(key)
        for check in strict:
            judgement = judge(check, values.get(check.metric), self._baseline(node, check, key))
            if judgement.state != "green":
                return f"{check.rule}: {judgement.reason}"
        return None

    def metrics(self, key: str) -> dict[str, float]:
        return {m.name: m.value for m in self._ledger.read(Metric, key=key, step=None)}

    def _baseline(self, node: Node, check: Check, key: str) -> float | None:
        """The same metric of the same asset, for what the alias points at now; None if there is none.

        For the promoted asset itself that is its own result; for one measured downstream of it (an
        evaluation, say), the newest result of that name with the promoted digest among its ancestors.
        """
        if check.alias is None:
            return None
        move = self._ledger.alias(check.alias)
        if move is None or move.digest is None:
            return None
        if move.asset == node.name:
            return self.metrics(move.key).get(check.metric)
        for result in self._ledger.read(
            StepResult, factory=self._factory, asset=node.name, newest=True
        ):
            if move.digest in self._lineage.digests(result):
                return self.metrics(result.key).get(check.metric)
        return None
