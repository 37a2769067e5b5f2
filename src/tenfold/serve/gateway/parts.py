"""What a gateway is put together from: tiers, flights, rate limits and budgets, of its own or shared.

With a state folder the workers of a host share them through files there; with a Redis address hosts share
them. Without either, a gateway is complete in one process. It decides nothing about requests.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import ConfigError, StoreError
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.open import open_budgets
from tenfold.serve.access.counters import Counters
from tenfold.serve.access.hosts import HostSync
from tenfold.serve.access.limits import Limits
from tenfold.serve.backends.base import BackendRefusal, Outcome, PromptTooLong, TokenUsage
from tenfold.serve.cache.claim import Claims
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.flights import Flights, Neighbours
from tenfold.serve.cache.relay import Relay
from tenfold.serve.cache.shared import SharedTier
from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import RemoteTier, Tier, Tiers, open_tiers
from tenfold.serve.refusal import Refusal

if TYPE_CHECKING:
    from tenfold.serve.gateway.config import GatewayConfig

KEY_BYTES = 32
STREAMED, WHOLE = b"s", b"w"
"""Behind a key: the form in which an answer is on its way."""
_SHARED_TTL_S = 86_400.0
"""Redis forgets what nobody asked for in so long, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Parts:
    tiers: Tiers
    flights: Flights
    limits: Limits
    budgets: Budgets
    worker: int = 0
    workers: int = 1
    run_folder: Path | None = None
    """Where the workers' sockets are."""
    relay: Relay | None = None
    claims: Claims | None = None
    hosts: HostSync | None = None

    async def start(self) -> None:
        """Raises OSError where the state folder's name is too long for a socket in it."""
        await self.budgets.start()
        self.tiers.start()
        if self.hosts is not None:
            await self.hosts.start()
        if self.relay is not None:
            await self.relay.start()

    async def stop(self) -> None:
        self.flights.close()
        if self.relay is not None:
            await self.relay.close()
        if self.claims is not None:
            self.claims.close()
        if self.hosts is not None:
            await self.hosts.stop()
        await self.budgets.stop()
        await self.tiers.close()


def open_parts(config: GatewayConfig, worker: int = 0, workers: int = 1) -> Parts:
    """Raises UnknownName for a tier that nobody makes, StoreError for a folder that cannot be used,
    ConfigError for `host` without a folder or `shared` without a Redis address."""
    folder = config.state_dir
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tiers = _tiers(config, folder)
    host = next((tier for tier in tiers.chain if tier.name == "host"), None)
    claims = relay = run_folder = None
    flights = Flights()
    if folder is not None and workers > 1:
        run_folder = _short(folder)
    if run_folder is not None and host is not None:
        claims = Claims(run_folder)
        look = _looking(host)
        relay = Relay(
            run_folder,
            flights,
            look,
            pack=packed,
            unpack=unpacked,
            errors=(Refusal, BackendRefusal, PromptTooLong),
        )
        flights.neighbours = Neighbours(claims, relay.fetch, look, host.after_puts)  # type: ignore[attr-defined]
    counters = Counters(folder, worker=worker, workers=workers)
    budgets = Budgets(
        open_budgets(config.redis_url, folder),
        on_store_loss=config.on_store_loss,
        reservation_s=config.timeout_s + 60,
    )
    hosts = None if config.redis_url is None else HostSync(counters, config.redis_url, folder)
    return Parts(
        tiers, flights, Limits(counters), budgets, worker, workers, run_folder, relay, claims, hosts
    )


def _short(folder: Path) -> Path:
    """A folder for sockets: the state folder's own where its path leaves room for their names (a socket's
    path has 100 bytes), else one of this user's named after it."""
    run = folder / "run"
    if len(os.fsencode(run)) > 72:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        run = Path(tempfile.gettempdir()) / f"tenfold-{os.getuid()}-{name}"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    if run.stat().st_uid != os.getuid():
        raise StoreError("the folder for sockets belongs to another user", where=str(run))
    return run


def _tiers(config: GatewayConfig, folder: Path | None) -> Tiers:
    near = ExactTier(
        max_entries=config.cache_entries,
        max_bytes=config.cache_bytes,
        ttl_s=config.cache_ttl_s,
    )

    def host() -> Tier:
        from tenfold.serve.cache.host import HostTier

        if folder is None:
            raise ConfigError("the host tier needs a state folder", where="tiers", seen="host")
        return HostTier(
            folder / "answers",
            max_bytes=config.host_cache_bytes,
            in_use=near.__contains__ if "exact" in config.tiers else None,
        )

    def shared() -> RemoteTier:
        from tenfold.serve.cache.resp import Link

        if config.redis_url is None:
            raise ConfigError("the shared tier needs redis_url", where="tiers", seen="shared")
        ttl_s = _SHARED_TTL_S if config.cache_ttl_s is None else config.cache_ttl_s
        return SharedTier(Link(config.redis_url), ttl_s=ttl_s)

    return open_tiers(config.tiers, {"exact": lambda: near, "host": host, "shared": shared})


def _looking(host: Tier) -> Callable[[bytes], Stored | None]:
    """A flight's key is the canonical key and the form; what is stored goes by the canonical key."""

    def look(place: bytes) -> Stored | None:
        stored = host.get(place[:KEY_BYTES])
        if stored is None:
            return None
        there = stored.events if place[KEY_BYTES:] == STREAMED else stored.whole
        return None if there is None else stored

    return look


def packed(outcome: Outcome) -> Any:
    """An outcome as plain values, for another worker."""
    usage = outcome.usage
    counts = (
        None
        if usage is None
        else [usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens]
    )
    return [outcome.response_id, counts]


def unpacked(plain: Any) -> Outcome:
    outcome = Outcome()
    outcome.response_id, counts = plain
    outcome.usage = None if counts is None else TokenUsage(*counts)
    return outcome
