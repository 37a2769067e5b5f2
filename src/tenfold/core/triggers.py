"""Triggers: what makes a factory run again. `due(now, facts)` is pure; whoever calls it in a loop

(`tenfold watch`, a cron job, another orchestrator) supplies the time and the facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tenfold.core.cron import Cron, parse_cron
from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One of four reasons to rebuild assets: time, new data, drift, a red check."""

    rebuild: tuple[str, ...]
    every: str | None = None
    """A cron expression, in UTC."""
    new_data_for: str | None = None
    """A source asset: fires when what its step sees of the outside world has changed."""
    drift_of: str | None = None
    """An asset whose `metric` moved by more than `above` (relative) since the alias or run before."""
    metric: str | None = None
    above: float | None = None
    red_check_on: str | None = None
    """An asset: fires when one of its checks is red."""

    def __post_init__(self) -> None:
        causes = [self.every, self.new_data_for, self.drift_of, self.red_check_on]
        if sum(cause is not None for cause in causes) != 1:
            raise ConfigError(
                "a trigger has exactly one of every, new_data_for, drift_of, red_check_on"
            )
        if not self.rebuild:
            raise ConfigError("a trigger must name what to rebuild")
        if self.drift_of is not None and (self.metric is None or self.above is None):
            raise ConfigError("drift_of needs metric and above")
        if self.every is not None:
            parse_cron(self.every)

    @property
    def id(self) -> str:
        """Stable across restarts: made of what the trigger says."""
        cause = (
            f"every {self.every}"
            if self.every is not None
            else f"new_data_for {self.new_data_for}"
            if self.new_data_for is not None
            else f"drift_of {self.drift_of}.{self.metric} above {self.above:g}"
            if self.drift_of is not None
            else f"red_check_on {self.red_check_on}"
        )
        return f"{cause}: {', '.join(self.rebuild)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFacts:
    """What triggers may look at, gathered beforehand."""

    started_at_s: float
    """When watching began: a cron time before it is not made up for."""
    fired_at_s: Mapping[str, float] = field(default_factory=dict)
    """Trigger id -> when it last fired."""
    fired_on: Mapping[str, str] = field(default_factory=dict)
    """Trigger id -> the cause it last fired on, so that one cause fires once."""
    observed: Mapping[str, str] = field(default_factory=dict)
    """Source asset -> fingerprint of the world outside now."""
    built_from: Mapping[str, str] = field(default_factory=dict)
    """Source asset -> fingerprint its newest result was built from."""
    drift: Mapping[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    """(asset, metric) -> relative change since the result before, and the newest result's key."""
    red: Mapping[str, str] = field(default_factory=dict)
    """Asset -> what is red about its newest result, with the result's key in front."""


@dataclass(frozen=True, slots=True)
class Due:
    trigger: Trigger
    reason: str
    cause: str
    """What to remember, so that the same cause does not fire again."""


def due(now_s: float, triggers: Sequence[Trigger], facts: TriggerFacts) -> list[Due]:
    """The triggers that should fire now, in the order they are declared."""
    found = []
    for trigger in triggers:
        hit = _cause(now_s, trigger, facts)
        if hit is not None and facts.fired_on.get(trigger.id) != hit[1]:
            found.append(Due(trigger, *hit))
    return found


def _cause(now_s: float, trigger: Trigger, facts: TriggerFacts) -> tuple[str, str] | None:
    if trigger.every is not None:
        return _time(now_s, parse_cron(trigger.every), trigger, facts)
    if trigger.new_data_for is not None:
        now = facts.observed.get(trigger.new_data_for)
        if now is not None and now != facts.built_from.get(trigger.new_data_for):
            return f"new data for {trigger.new_data_for}", now
    elif trigger.drift_of is not None and trigger.metric is not None:
        change, key = facts.drift.get((trigger.drift_of, trigger.metric), (0.0, ""))
        if trigger.above is not None and abs(change) > trigger.above:
            return f"{trigger.drift_of}.{trigger.metric} moved by {change:+.1%}", key
    elif trigger.red_check_on is not None:
        red = facts.red.get(trigger.red_check_on)
        if red is not None:
            return f"{trigger.red_check_on} is red", red
    return None


def _time(
    now_s: float, cron: Cron, trigger: Trigger, facts: TriggerFacts
) -> tuple[str, str] | None:
    latest = cron.latest(now_s)
    since = max(facts.started_at_s, facts.fired_at_s.get(trigger.id, 0.0))
    if latest is None or latest <= since:
        return None
    return f"time: {trigger.every}", f"{latest:.0f}"
