"""What a gateway is put together from: tiers, flights, rate limits and budgets, of its own or shared.

With a state folder the workers of a host share them through files there; with a Redis address hosts share
them. Without either, a gateway is complete in one process. It decides nothing about requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import UnknownName
from tenfold.serve.access.budgets.base import BudgetStore
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.memory import MemoryBudgets
from tenfold.serve.access.counters import Counters
from tenfold.serve.access.limits import Limits
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.flight import Flights
from tenfold.serve.cache.tier import RemoteTier, Tier, Tiers

if TYPE_CHECKING:
    from tenfold.serve.cache.host import HostTier
    from tenfold.serve.gateway.config import GatewayConfig

TIERS = ("exact", "host", "shared")


@dataclass(frozen=True, slots=True)
class Parts:
    tiers: Tiers
    flights: Flights
    limits: Limits
    budgets: Budgets

    async def start(self) -> None:
        await self.budgets.start()
        await self.flights.start()

    async def stop(self) -> None:
        await self.flights.stop()
        await self.budgets.stop()
        await self.tiers.close()


def open_parts(config: GatewayConfig, worker: int = 0, workers: int = 1) -> Parts:
    """Raises UnknownName for a tier that nobody makes, StoreError for a folder that cannot be used,
    ConfigError for `shared` without a Redis address."""
    folder = config.state_dir
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Parts(
        _tiers(config, folder),
        _flights(config, folder, worker),
        Limits(Counters(folder, worker=worker, workers=workers)),
        Budgets(_budget_store(config, folder), on_store_loss=config.on_store_loss, reservation_s=config.timeout_s + 60),
    )
