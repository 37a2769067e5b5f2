"""One request under way: what is known about it so far, and the event it becomes.

Slots are filled in as the request goes along its path; the recorder turns them into a fact off the event
loop. It decides nothing.
"""

from __future__ import annotations

import itertools
import secrets

from tenfold.core.facts import RequestEvent


class Exchange:
    __slots__ = (
        "at_s",
        "backend",
        "cached_from",
        "carried_joules",
        "carried_usd",
        "completion_tokens",
        "compute_s",
        "ended",
        "endpoint",
        "error",
        "id",
        "key_name",
        "latency_s",
        "model",
        "model_digest",
        "prompt_tokens",
        "started",
        "status",
        "stream",
        "tenant",
        "tier",
        "ttft_s",
        "attempts",
        "cached_tokens",
        "hedged",
        "price_usd",
        "response_id",
    )

    def __init__(self, endpoint: str, at_s: float, started: float) -> None:
        self.id = ""
        self.endpoint = endpoint
        self.at_s = at_s
        """Seconds since the epoch."""
        self.started = started
        """On the monotonic clock."""
        self.ended = 0.0
        """On the monotonic clock; 0 while under way."""
        self.tenant = ""
        self.key_name = ""
        self.model = ""
        self.model_digest = ""
        self.backend = ""
        self.tier = "refused"
        self.status = 0
        self.stream = False
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.compute_s = 0.0
        self.latency_s = 0.0
        self.ttft_s: float | None = None
        self.error: str | None = None
        self.cached_from: str | None = None
        self.carried_joules = 0.0
        """Energy of windows that closed while this was still under way."""
        self.carried_usd = 0.0
        self.response_id: str | None = None
        self.price_usd = 0.0
        self.hedged = False
        self.cached_tokens = 0
        self.attempts = 1

    def event(
        self, source: str, joules: float, usd: float, gco2e: float, method: str
    ) -> RequestEvent:
        return RequestEvent(
            id=self.id,
            at_s=self.at_s,
            tenant=self.tenant,
            key_name=self.key_name,
            endpoint=self.endpoint,
            model=self.model,
            model_digest=self.model_digest,
            backend=self.backend,
            tier=self.tier,
            status=self.status,
            stream=self.stream,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            latency_ms=self.latency_s * 1e3,
            ttft_ms=None if self.ttft_s is None else self.ttft_s * 1e3,
            usd=usd,
            joules=joules,
            energy_method=method,
            gco2e=gco2e,
            error=self.error,
            source=source,
            cached_from=self.cached_from,
            response_id=self.response_id,
            price_usd=self.price_usd,
        )


class Ids:
    """Response ids that no other process gives: 60 random bits of this one, then a count."""

    def __init__(self) -> None:
        self._random = secrets.token_hex(8)[1:]
        self._count = itertools.count(1)

    def next(self, prefix: str) -> str:
        return f"{prefix}{self._random}{next(self._count):09x}"
