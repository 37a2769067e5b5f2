"""Gateways for steps and for `tenfold serve`: which model, which backends, which ledger.

The gateway knows nothing about factories; here its settings are put together from one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenfold.core.asset import Asset
from tenfold.core.ports import GatewayHandle, Gateways

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory


def gateways_of(factory: Factory) -> Gateways:
    """Starts gateways for steps of this factory: a process each, writing into the same ledger."""

    @contextmanager
    def start(model: Asset, *, tiers: Sequence[str], source: str) -> Iterator[GatewayHandle]:
        from tenfold.serve.gateway.process import launch

        with launch(
            folder=model.folder(),
            digest=model.digest,
            name=model.name,
            tiers=tiers,
            ledger_url=factory.ledger_url,
            source=source,
            tariff=factory.tariff,
            power=factory.power,
        ) as handle:
            yield handle

    return start
