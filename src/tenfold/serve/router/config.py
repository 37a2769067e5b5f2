"""What an operator can set about routing. Values and their ranges; nothing acts here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tenfold.errors import ConfigError, UnknownName

POLICIES = (
    "least-outstanding",
    "power-of-two",
    "latency",
    "cost",
    "joules",
    "region",
    "prefix",
    "weighted",
)
FALLBACK_CAUSES = frozenset({"error", "timeout", "busy", "context"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConfig:
    """Settings of one member. Raises ConfigError for a value out of range."""

    weight: float = 1.0
    """Share of the work under `weighted`, above 0; only the ratio to other members matters."""
    max_outstanding: int | None = None
    """Generations under way at once, 1 or more; None: the router's."""
    usd_per_token: float | None = None
    """What a token costs here, 0 or more; None: unknown, ranked behind every known price."""
    joules_per_token: float | None = None
    """Energy of a token here, 0 or more; None: as measured, if anybody measures."""
    region: str = ""
    """Where it is, for `region`."""

    def __post_init__(self) -> None:
        _above("weight", self.weight, 0)
        if self.max_outstanding is not None:
            _at_least("max_outstanding", self.max_outstanding, 1)
        for name in ("usd_per_token", "joules_per_token"):
            value = getattr(self, name)
            if value is not None:
                _at_least(name, value, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """Settings of a router. Raises ConfigError for a value out of range, UnknownName for a policy."""

    policy: str = "least-outstanding"
    """One of `POLICIES`."""
    members: Mapping[str, MemberConfig] = field(default_factory=dict)
    """By the backend's name; a member that is not named has the defaults."""
    max_outstanding: int = 256
    """Generations under way at one member, 1 or more."""
    max_waiting: int = 1024
    """Requests that wait for room, 0 or more; beyond them 429 with Retry-After."""
    max_wait_s: float = 30.0
    """Longest wait for room, 0 or more; a nearer deadline wins."""
    max_attempts: int = 3
    """Attempts at one request with one model, 1 or more; hedges not counted."""
    retry_share: float = 0.2
    """Retries per request over the last 10 s, 0 to 1."""
    retry_floor_per_s: float = 1.0
    """Retries allowed per second even when there are few requests, 0 or more."""
    backoff_s: float = 0.05
    """Pause before the same member is asked again, doubled each time, with jitter; 0 or more."""
    max_retry_wait_s: float = 2.0
    """Longest pause for a `Retry-After`, 0 or more; beyond it the client is told to come back."""
    first_part_timeout_s: float | None = None
    """Longest wait for an answer's first part before another member is asked, above 0; None: no limit."""
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Model -> models that answer in its place, in this order."""
    fallback_on: frozenset[str] = frozenset({"error", "timeout", "busy"})
    """Reasons to fall back: of `error`, `timeout`, `busy`, `context` (the prompt is too long)."""
    hedge_share: float = 0.0
    """Requests that may get a second attempt while the first is silent, 0 (never) to 0.5."""
    hedge_quantile: float = 0.95
    """Of recent times to the first part: how long the first attempt may be silent, 0.5 to 0.999."""
    hedge_side_effects: bool = False
    """Hedge requests with side effects as well."""
    failures_to_open: int = 5
    """Failures in a row that eject a member, 1 or more."""
    error_share_to_open: float = 0.5
    """Failures per request over the last 10 s that eject a member (of 20 requests or more), above 0, at
    most 1."""
    open_s: float = 1.0
    """How long an ejected member is first left alone, above 0; doubled each time it fails again."""
    max_open_s: float = 60.0
    """Longest such pause, at least `open_s`."""
    half_open_probes: int = 1
    """Requests that try an ejected member at once afterwards, and successes it needs; 1 or more."""
    probe_interval_s: float | None = 10.0
    """Between active checks of a member that has them, with jitter, above 0; None: no checks."""
    probe_timeout_s: float = 5.0
    """Longest an active check may take, above 0."""
    latency_decay_s: float = 10.0
    """How fast `latency` forgets (the time constant of its mean), above 0."""
    spill_share: float = 0.8
    """`cost`, `joules`, `region`: share of a member's room after which the next best is used, above 0,
    at most 1."""
    regions: tuple[str, ...] = ()
    """`region`: nearest first; a region that is not named is the farthest."""
    prefix_entries: int = 65_536
    """`prefix`: blocks remembered, 2 or more."""
    prefix_ttl_s: float = 600.0
    """`prefix`: a block is forgotten between one and two times this after its last use, above 0."""
    prefix_load: float = 1.25
    """`prefix`: a member may have this times the mean outstanding work, above 1."""
    drain_s: float = 60.0
    """How long a removed member's answers under way may go on, 0 or more."""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UnknownName("routing policy", self.policy, POLICIES)
        unknown = sorted(self.fallback_on - FALLBACK_CAUSES)
        if unknown:
            raise UnknownName("reason to fall back", unknown[0], FALLBACK_CAUSES)
        for name in ("max_outstanding", "max_attempts", "failures_to_open", "half_open_probes"):
            _at_least(name, getattr(self, name), 1)
        for name in (
            "max_waiting", "max_wait_s", "retry_floor_per_s", "backoff_s", "max_retry_wait_s", "drain_s",
        ):  # fmt: skip
            _at_least(name, getattr(self, name), 0)
        for name in (
            "open_s", "probe_timeout_s", "latency_decay_s", "prefix_ttl_s",
        ):  # fmt: skip
            _above(name, getattr(self, name), 0)
        for name in ("first_part_timeout_s", "probe_interval_s"):
            if getattr(self, name) is not None:
                _above(name, getattr(self, name), 0)
        for name, low, high in (
            ("retry_share", 0, 1),
            ("hedge_share", 0, 0.5),
            ("hedge_quantile", 0.5, 0.999),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must be {low} to {high}", seen=getattr(self, name))
        for name in ("error_share_to_open", "spill_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0, at most 1", seen=getattr(self, name))
        _at_least("max_open_s", self.max_open_s, self.open_s)
        _at_least("prefix_entries", self.prefix_entries, 2)
        _above("prefix_load", self.prefix_load, 1)
        for model, others in self.fallbacks.items():
            if model in others:
                raise ConfigError("a model cannot be its own fallback", seen=model)

    def member(self, name: str) -> MemberConfig:
        return self.members.get(name) or _DEFAULT


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ConfigError(f"{name} must be {least} or more", seen=value)


def _above(name: str, value: float, bound: float) -> None:
    if not value > bound:
        raise ConfigError(f"{name} must be above {bound}", seen=value)


_DEFAULT = MemberConfig()
