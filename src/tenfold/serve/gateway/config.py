"""What an operator can set about a gateway. Values and their ranges; nothing acts here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tenfold.errors import ConfigError
from tenfold.serve.access.grant import TenantPolicy
from tenfold.serve.access.prices import Price
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.edge.origin import EdgeAddress
from tenfold.serve.router.config import RouterConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Settings of one gateway process. Raises ConfigError for a value out of range."""

    tiers: tuple[str, ...] = ("exact",)
    """Tiers asked before the model, cheapest first. `()`: every answer is generated."""
    require_keys: bool | None = None
    """True: no key, no answer. False: keys name tenants but nobody is turned away for having none.
    None: keys are required as soon as the ledger holds one, a revoked one included."""
    cache_sampled: bool = False
    """Store answers drawn with a temperature above 0 and no seed, as if the draw did not matter."""
    cache_entries: int = 100_000
    """Answers kept in the exact tier, 1 or more."""
    cache_bytes: int = 256 * 1024 * 1024
    """Memory the exact tier may hold, 1 or more."""
    cache_ttl_s: float | None = None
    """Age at which a stored answer is forgotten; None: only when room is needed."""
    held_bytes: int = 16 * 1024 * 1024
    """Memory for streams under way that may be read along or stored, 1 or more; beyond it a stream that
    nobody follows is passed on and neither."""
    policy_epoch: int = 0
    """Part of every key: raise it, and no answer made under the old policy is given again."""
    memo_entries: int = 32_768
    """Request bodies whose keys are remembered, 2 or more."""
    memo_bytes: int = 16 * 1024 * 1024
    """Memory for that, 1 or more."""
    state_dir: Path | None = None
    """Where the workers of this host share tiers, counters, budgets and flights. None: this process shares
    nothing and keeps budgets in memory."""
    host_cache_bytes: int = 1024 * 1024 * 1024
    """Disk the `host` tier may take, 1 or more."""
    redis_url: str | None = field(default=None, repr=False)
    """What hosts share: the `shared` tier, budgets, rates. Never logged: it may hold a password."""
    on_store_loss: Literal["local", "refuse"] = "local"
    """When the budget store is away: go by what this process knew last, or refuse what costs money."""
    edge_max_age_s: int = 0
    """How long a cache in front may keep an answer, 0 (not at all) or more."""
    edges: tuple[EdgeAddress, ...] = ()
    """Caches in front that are told of purges."""
    router: RouterConfig = field(default_factory=RouterConfig)
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Per model; what budgets are counted in."""
    default_price: Price | None = None
    """Of a model without a price of its own; None: free."""
    tenants: Mapping[str, TenantPolicy] = field(default_factory=dict)
    """What all keys of a tenant may do together."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Files and batches, which need a `state_dir`."""
    max_body_bytes: int = 8 * 1024 * 1024
    """Largest request body, 1 or more; a longer one is answered with 413."""
    max_connections: int = 10_000
    """Clients connected at once, 1 or more; one more is answered 503."""
    timeout_s: float = 600.0
    """Longest time one answer may take, above 0."""
    body_timeout_s: float = 30.0
    """Longest time a client may take to send a request's head, and then its body, above 0."""
    drain_s: float = 20.0
    """After SIGTERM, how long answers under way may go on, 0 or more."""
    queue_events: int = 100_000
    """Request events waiting to be written, 1 or more; beyond them they are dropped and counted."""
    spool: Path | None = None
    """Folder where events wait while the ledger is away, and from where they are written after a crash.
    Shared by all workers of a host. None: `spool` in the state folder; without one they wait in memory."""
    spool_bytes: int = 256 * 1024 * 1024
    """Disk each worker may fill with them, 1 or more; beyond it and `queue_events` they are dropped."""
    durable_events: bool = False
    """Note each event in mapped memory as it ends, so that `kill -9` loses none; needs a spool."""
    flush_s: float = 1.0
    """Seconds between batches to the ledger, and the length of an energy window; above 0."""
    keys_refresh_s: float = 3.0
    """How soon a new or revoked key is noticed, above 0."""
    source: str = "live"
    """Written into every request event: `live`, or the run id of a rehearsal."""

    def __post_init__(self) -> None:
        for name in (
            "cache_entries",
            "cache_bytes",
            "max_body_bytes",
            "memo_bytes",
            "host_cache_bytes",
            "max_connections",
        ):
            _at_least(name, getattr(self, name), 1)
        _at_least("queue_events", self.queue_events, 1)
        _at_least("spool_bytes", self.spool_bytes, 1)
        if self.spool is None and self.state_dir is not None:
            object.__setattr__(self, "spool", self.state_dir / "spool")
        if self.durable_events and self.spool is None:
            raise ConfigError("durable_events needs a spool", hint="set `spool` or `state_dir`")
        _at_least("drain_s", self.drain_s, 0)
        for name in ("timeout_s", "body_timeout_s", "flush_s", "keys_refresh_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))
        if self.cache_ttl_s is not None and not self.cache_ttl_s > 0:
            raise ConfigError("cache_ttl_s must be above 0, or null", seen=self.cache_ttl_s)


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ConfigError(f"{name} must be {least} or more", seen=value)
