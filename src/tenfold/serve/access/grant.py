"""What a working key allows: one Grant per key, made when the key ring is loaded and handed along with
every request that the key opens. Values, and the check of a model's name; nothing here counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.core.facts import VirtualKey
from tenfold.errors import ConfigError
from tenfold.serve.access.budgets.base import MOST_USD, PERIODS, Account, nano
from tenfold.serve.refusal import Refusal

if TYPE_CHECKING:
    from tenfold.serve.access.budgets.view import View
    from tenfold.serve.access.limits import Meter

SCOPES = ("inference", "batch", "admin")


@dataclass(frozen=True, slots=True)
class Cap:
    """A rate limit: what it is called (all workers of a host agree on it), and how much."""

    name: str
    rpm: int | None
    tpm: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy:
    """What all keys of a tenant may do together. Raises ConfigError for a value out of range."""

    rpm: int | None = None
    """Requests per minute."""
    tpm: int | None = None
    """Tokens per minute."""
    budget_usd: float | None = None
    budget_period: str = "total"
    """`total`, `day` or `month` (UTC)."""

    def __post_init__(self) -> None:
        check_allowance(self.rpm, self.tpm, self.budget_usd, self.budget_period)


def check_allowance(
    rpm: int | None, tpm: int | None, budget_usd: float | None, period: str
) -> None:
    """Raises ConfigError for an allowance that cannot be meant."""
    for what, value in (("rpm", rpm), ("tpm", tpm)):
        if value is not None and not 1 <= value < 1 << 31:
            raise ConfigError(f"{what} must be 1 or more", seen=value)
    if budget_usd is not None and not 0 <= budget_usd <= MOST_USD:
        raise ConfigError(f"a budget must be between 0 and {MOST_USD:g} USD", seen=budget_usd)
    if period not in PERIODS:
        raise ConfigError("no such budget period", seen=period, hint="one of " + ", ".join(PERIODS))


class Grant:
    """What one key allows. Shared by all requests of the key; never changed by its holders."""

    __slots__ = (
        "accounts", "caps", "expires_at_s", "key_name", "meters", "models", "scopes", "tenant", "views",
    )  # fmt: skip

    def __init__(
        self,
        tenant: str,
        key_name: str,
        *,
        scopes: frozenset[str] = frozenset({"inference"}),
        models: frozenset[str] | None = None,
        expires_at_s: float | None = None,
        caps: tuple[Cap, ...] = (),
        accounts: tuple[Account, ...] = (),
    ) -> None:
        self.tenant = tenant
        self.key_name = key_name
        """Empty for who asks an open gateway without a key."""
        self.scopes = scopes
        self.models = models
        """None: every model."""
        self.expires_at_s = expires_at_s
        self.caps = caps
        self.accounts = accounts
        self.meters: tuple[Meter, ...] | None = None if caps else ()
        """The limits' own: the counters behind `caps`, found at the first request."""
        self.views: tuple[View, ...] | None = None if accounts else ()
        """The budgets' own: what is known of `accounts`, likewise."""

    def check_model(self, model: str) -> None:
        """Raises Refusal (403) for a model this key may not ask for."""
        if self.models is not None and model not in self.models:
            raise Refusal(
                403,
                "This API key does not have access to the model it asked for.",
                code="model_not_found",
                param="model",
            )

    def __repr__(self) -> str:
        return f"<grant {self.key_name or '(no key)'} of {self.tenant}>"


LOCAL_GRANT = Grant("local", "", scopes=frozenset({"inference", "batch"}))
"""Of whoever asks an open gateway without a key."""


def grant_of(
    key: VirtualKey, tenants: Mapping[str, TenantPolicy], *, until_s: float | None = None
) -> Grant:
    """The grant of a key; `until_s` ends it early (a secret that was rotated away)."""
    caps = []
    accounts = []
    if key.rpm is not None or key.tpm is not None:
        caps.append(Cap(f"key:{key.name}", key.rpm, key.tpm))
    if key.budget_usd is not None:
        accounts.append(Account(account_of(key), nano(key.budget_usd), key.budget_period))
    policy = tenants.get(key.tenant)
    if policy is not None:
        if policy.rpm is not None or policy.tpm is not None:
            caps.append(Cap(f"tenant:{key.tenant}", policy.rpm, policy.tpm))
        if policy.budget_usd is not None:
            accounts.append(
                Account(f"tenant:{key.tenant}", nano(policy.budget_usd), policy.budget_period)
            )
    ends = [end for end in (key.expires_at_s, until_s) if end is not None]
    return Grant(
        key.tenant,
        key.name,
        scopes=frozenset(key.scopes),
        models=frozenset(key.models) or None,
        expires_at_s=min(ends) if ends else None,
        caps=tuple(caps),
        accounts=tuple(accounts),
    )


def account_of(key: VirtualKey) -> str:
    """What a key's spending is booked on."""
    return f"account:{key.account}" if key.account else f"key:{key.name}"
