"""Checks: rules over metrics. A red one blocks promotion, or the run, as the rule says.

Judging is pure: a value, a baseline and a rule in, a verdict out. A metric that is not there is
`unknown`, and unknown is not green. Where values come from is not known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`min`, `max`, and comparisons with what an alias points at, all of which must hold."""

    metric: str
    min: float | None = None
    max: float | None = None
    not_below: str | None = None
    """An alias: the value must be at least its asset's value minus `by`."""
    not_above: str | None = None
    """An alias: the value must be at most its asset's value plus `by`."""
    by: float = 0.0
    """Slack of the comparison, in the metric's own unit, 0 or more."""
    blocks: str = "promotion"
    """`promotion`: an alias may not move. `run`: nothing downstream is built either."""

    def __post_init__(self) -> None:
        if self.blocks not in ("promotion", "run"):
            raise ConfigError('blocks must be "promotion" or "run"', seen=self.blocks)
        if self.by < 0:
            raise ConfigError("by must be 0 or more", seen=self.by)
        if all(b is None for b in (self.min, self.max, self.not_below, self.not_above)):
            raise ConfigError(
                f"the check on {self.metric!r} has no bound",
                hint="give it min, max, not_below or not_above",
            )

    @property
    def alias(self) -> str | None:
        return self.not_below or self.not_above

    @property
    def rule(self) -> str:
        parts = []
        if self.min is not None:
            parts.append(f"{self.metric} >= {self.min:g}")
        if self.max is not None:
            parts.append(f"{self.metric} <= {self.max:g}")
        if self.not_below is not None:
            parts.append(f"{self.metric} >= {self.not_below} - {self.by:g}")
        if self.not_above is not None:
            parts.append(f"{self.metric} <= {self.not_above} + {self.by:g}")
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Judgement:
    state: str
    """`green`, `red` or `unknown`."""
    reason: str


def judge(check: Check, value: float | None, baseline: float | None = None) -> Judgement:
    """How the rule comes out. Without a baseline (no champion yet) a comparison holds by default."""
    if value is None:
        return Judgement("unknown", f"no metric {check.metric!r} was recorded")
    if math.isnan(value):
        return Judgement("red", f"{check.metric} is not a number")
    faults = []
    if check.min is not None and value < check.min:
        faults.append(f"below {check.min:g}")
    if check.max is not None and value > check.max:
        faults.append(f"above {check.max:g}")
    if baseline is not None and not math.isnan(baseline):
        if check.not_below is not None and value < baseline - check.by:
            faults.append(f"below {check.not_below} ({baseline:g}) by more than {check.by:g}")
        if check.not_above is not None and value > baseline + check.by:
            faults.append(f"above {check.not_above} ({baseline:g}) by more than {check.by:g}")
    if faults:
        return Judgement("red", f"{check.metric} = {value:g} is " + " and ".join(faults))
    return Judgement("green", f"{check.metric} = {value:g}")
