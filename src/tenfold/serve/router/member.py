"""One backend of a fleet: its state and its running figures. Policies read them, the router writes them."""

from __future__ import annotations

import math

from tenfold.serve.backends.base import Backend, ModelCard
from tenfold.serve.router.breaker import Breaker
from tenfold.serve.router.config import RouterConfig


class Member:
    """Counters are totals since the member joined; times are seconds."""

    __slots__ = (
        "_decay_s", "_joules_given", "_latency_at", "backend", "breaker", "error", "joules_per_token", "latency_s",
        "max_outstanding", "name", "num_failed_probes", "num_failures", "num_hedges", "num_hedges_won", "num_requests",
        "num_retries", "outstanding", "outstanding_tokens", "region", "resting_until", "service_s",
        "state", "usd_per_token", "weight",
    )  # fmt: skip

    def __init__(self, backend: Backend, config: RouterConfig) -> None:
        self.name = backend.name
        self.backend = backend
        self.state = "starting"
        """`starting`, `ready`, `failed`, `draining` or `stopped`."""
        self.error: Exception | None = None
        """Why it is not ready, or what it last failed with."""
        self.outstanding = 0
        """Generations under way."""
        self.outstanding_tokens = 0
        """Their tokens, as estimated."""
        self.latency_s = 0.0
        """Time to the first part: a mean that jumps to a peak and decays (peak-EWMA); 0: no sample yet."""
        self.service_s = 0.0
        """Running mean of how long an answer takes to its end; 0: no sample yet."""
        self.resting_until = 0.0
        """It asked (Retry-After) not to be asked before; others are preferred until then."""
        self.num_requests = 0
        self.num_failures = 0
        self.num_failed_probes = 0
        self.num_retries = 0
        """Requests that came here after another attempt had failed."""
        self.num_hedges = 0
        """Second attempts that ran here beside a first one elsewhere."""
        self.num_hedges_won = 0
        self.breaker = Breaker(config)
        self._latency_at = 0.0
        self.joules_per_token: float | None = None
        self.configure(config)

    def configure(self, config: RouterConfig) -> None:
        """Take over settings; figures stay."""
        own = config.member(self.name)
        self.weight = own.weight
        self.max_outstanding = own.max_outstanding or config.max_outstanding
        self.usd_per_token = own.usd_per_token
        self._joules_given = own.joules_per_token is not None
        if self._joules_given:
            self.joules_per_token = own.joules_per_token
        self.region = own.region
        self._decay_s = config.latency_decay_s
        self.breaker.config = config

    def has_room(self, slots: int) -> bool:
        """Whether `slots` more generations fit. An idle member takes any request."""
        return self.outstanding + slots <= self.max_outstanding or not self.outstanding

    def answered(self, latency_s: float, now: float) -> None:
        """A first part came after `latency_s`."""
        if latency_s > self.latency_s:
            self.latency_s = latency_s
        else:
            kept = math.exp((self._latency_at - now) / self._decay_s)
            self.latency_s = self.latency_s * kept + latency_s * (1 - kept)
        self._latency_at = now

    def latency_now(self, now: float) -> float:
        """The mean, fading while nothing comes, so that a member that was slow gets another chance."""
        return self.latency_s * math.exp((self._latency_at - now) / self._decay_s)

    def measured(self, joules: float, tokens: int) -> None:
        """Energy of some tokens, from a meter. Ignored where the settings give a figure."""
        if tokens > 0 and not self._joules_given:
            each = joules / tokens
            mean = self.joules_per_token
            self.joules_per_token = each if mean is None else mean + 0.1 * (each - mean)


class Place:
    """A model on a member."""

    __slots__ = ("card", "member")

    def __init__(self, member: Member, card: ModelCard) -> None:
        self.member = member
        self.card = card
