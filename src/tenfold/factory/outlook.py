"""What a gateway is about to do, for those who start it: where, with what, who may ask.

Taken from the file and the ledger before anything runs. It starts nothing and shows nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.core.facts import VirtualKey

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory
    from tenfold.spec.serving import ServeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    url: str
    workers: int
    tiers: tuple[str, ...]
    keys_required: bool
    num_keys: int
    """Keys that work now."""
    can_make_keys: bool
    """Whether there is a file that `tenfold keys` can be given."""
    admin_key: bool
    """Whether one comes from the environment."""
    budgets: str
    """Where budgets are kept: `Redis` or `a file of this host`."""
    priced: tuple[str, ...]
    """Models with a price of their own."""
    default_price: bool
    """Whether the others have one."""
    model: str | None
    """The factory's own."""
    backends: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(name, address, models; none: what it lists)"""


def outlook(factory: Factory, wanted: ServeSpec, url: str, workers: int) -> Outlook:
    """Raises LedgerError when the keys cannot be read."""
    keys = factory.ledger.read(VirtualKey)
    now_s = time.time()
    working = [
        key
        for key in keys
        if key.revoked_at_s is None and (key.expires_at_s is None or key.expires_at_s > now_s)
    ]
    return Outlook(
        url=url,
        workers=workers,
        tiers=wanted.tiers,
        keys_required=wanted.require_keys or bool(keys),
        num_keys=len(working),
        can_make_keys=factory.spec is not None and factory.spec.path is not None,
        admin_key=wanted.admin_key_env is not None,
        budgets="a file of this host" if wanted.redis_url_env is None else "Redis",
        priced=tuple(wanted.prices),
        default_price=wanted.default_price is not None,
        model=wanted.model,
        backends=tuple(
            (backend.name, backend.url, tuple(backend.models)) for backend in wanted.backends
        ),
    )
