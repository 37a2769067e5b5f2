"""`tenfold watch`: gather the facts, ask `due`, run what is due, remember it, wait, again."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence

from tenfold.core.facts import Event, Metric, Run, StepResult
from tenfold.core.graph import Graph
from tenfold.core.keys import canonical_json, digest
from tenfold.core.ports import Clock, Ledger
from tenfold.core.triggers import Due, Trigger, TriggerFacts, due
from tenfold.errors import InfrastructureError, TenfoldError
from tenfold.factory.judging import Judging
from tenfold.factory.past import Past

FIRED = "trigger.fired"
FAILED = "watch.failed"


class Watcher:
    def __init__(
        self,
        *,
        factory: str,
        graph: Graph,
        triggers: Sequence[Trigger],
        ledger: Ledger,
        clock: Clock,
        judging: Judging,
        past: Callable[[], Past],
        run: Callable[[Sequence[str]], object],
        once: bool = False,
    ) -> None:
        """With `once`, somebody else does the repeating (a cron job, say), so that watching has not just
        begun: times since the factory's last run count."""
        self._factory = factory
        self._graph = graph
        self._triggers = tuple(triggers)
        self._ledger = ledger
        self._clock = clock
        self._judging = judging
        self._past = past
        self._run = run
        self._started_at_s = self._last_run_at_s() if once else clock.now()

    def round(self, on_due: Callable[[Due], None] = lambda due: None) -> list[Due]:
        """One look: run whatever is due now. A trigger is remembered before its run, so that a run that
        fails is not repeated for the same cause for ever."""
        fired = due(self._clock.now(), self._triggers, self.facts())
        for item in fired:
            on_due(item)
            self._ledger.append(
                [
                    Event(
                        run_id=f"watch:{self._factory}",
                        asset=item.trigger.id,
                        event=FIRED,
                        fields={"reason": item.reason, "cause": item.cause},
                        at_s=self._clock.now(),
                    )
                ]
            )
            self._run(item.trigger.rebuild)
        return fired

    def forever(self, interval_s: float, on_due: Callable[[Due], None]) -> None:
        """Rounds until interrupted. A round that fails (a source is away, a disk is full) is put on record
        and the next one tries again: what fired is remembered, what did not will."""
        while True:
            try:
                self.round(on_due)
            except TenfoldError as error:
                with contextlib.suppress(InfrastructureError):
                    self._ledger.append(
                        [
                            Event(
                                run_id=f"watch:{self._factory}",
                                asset="",
                                event=FAILED,
                                level="error",
                                fields=error.describe(),
                                at_s=self._clock.now(),
                            )
                        ]
                    )
            time.sleep(interval_s)

    def facts(self) -> TriggerFacts:
        """Everything the triggers may look at, as of now."""
        last_fired: dict[str, Event] = {}
        for trigger in self._triggers:
            for event in self._ledger.read(
                Event,
                run_id=f"watch:{self._factory}",
                event=FIRED,
                asset=trigger.id,
                newest=True,
                limit=1,
            ):
                last_fired[trigger.id] = event
        past = self._past()
        observed, built_from = {}, {}
        for name in {t.new_data_for for t in self._triggers if t.new_data_for is not None}:
            observed[name] = _fingerprint(past.observed(self._graph[name]))
            last = past.last(name)
            if last is not None:
                built_from[name] = _fingerprint(last.observed)
        drift = {}
        for trigger in self._triggers:
            if trigger.drift_of is not None and trigger.metric is not None:
                moved = self._drift(trigger.drift_of, trigger.metric)
                if moved is not None:
                    drift[trigger.drift_of, trigger.metric] = moved
        red = {}
        for name in {t.red_check_on for t in self._triggers if t.red_check_on is not None}:
            reason = self._red(name, past)
            if reason is not None:
                red[name] = reason
        return TriggerFacts(
            started_at_s=self._started_at_s,
            fired_at_s={name: event.at_s for name, event in last_fired.items()},
            fired_on={name: str(event.fields["cause"]) for name, event in last_fired.items()},
            observed=observed,
            built_from=built_from,
            drift=drift,
            red=red,
        )

    def _drift(self, asset: str, metric: str) -> tuple[float, str] | None:
        """Relative change of a metric between the two newest results of an asset, and the newest's key."""
        results = self._ledger.read(
            StepResult, factory=self._factory, asset=asset, newest=True, limit=2
        )
        values = []
        for result in results:
            found = self._ledger.read(Metric, key=result.key, name=metric, step=None)
            values += [item.value for item in found]
        if len(values) < 2:
            return None
        new, old = values
        if old == 0:
            return (0.0 if new == 0 else math.copysign(math.inf, new)), results[0].key
        return (new - old) / abs(old), results[0].key

    def _last_run_at_s(self) -> float:
        runs = self._ledger.read(Run, factory=self._factory, newest=True, limit=1)
        return runs[0].started_at_s if runs else 0.0

    def _red(self, asset: str, past: Past) -> str | None:
        last = past.last(asset)
        if last is None:
            return None
        for verdict in self._judging.verdicts(self._graph[asset], last.key, last.run_id):
            if verdict.state != "green":
                return f"{last.key[:12]} {verdict.rule}: {verdict.reason}"
        return None


def _fingerprint(observed: object) -> str:
    return digest(canonical_json(observed))
