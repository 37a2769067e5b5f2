"""Making, rotating and revoking keys. Every deed is in the audit's hash chain before it is done: an entry
without its deed can be explained, a deed without its entry cannot. It knows the ledger and no request.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tenfold.core.facts import VirtualKey
from tenfold.core.ports import Ledger
from tenfold.errors import ConfigError, LeaseHeld, UnknownName, UsageError
from tenfold.serve.access.grant import SCOPES, check_allowance
from tenfold.serve.access.keys import hash_of, new_secret

ROTATION_GRACE_S = 24 * 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}\Z")
_ACTOR = "gateway"
_LEASE_S = 30.0


def create_key(
    ledger: Ledger,
    name: str,
    *,
    tenant: str,
    now_s: float,
    scopes: tuple[str, ...] = ("inference",),
    models: tuple[str, ...] = (),
    expires_at_s: float | None = None,
    rpm: int | None = None,
    tpm: int | None = None,
    budget_usd: float | None = None,
    budget_period: str = "total",
    account: str = "",
) -> str:
    """Make a key and return its secret, the only time it can be seen.

    Raises UsageError when a working key has that name already, ConfigError for a name that would not
    read well in a log, a scope that does not exist or an allowance that cannot be meant.
    """
    named = [("key name", name), ("tenant", tenant), *([("account", account)] if account else [])]
    for what, value in named:
        if not _NAME.match(value):
            raise ConfigError(
                f"not a {what}", seen=value, hint="letters, digits and ._:@- up to 100"
            )
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError("no such scope", seen=scope, hint="one of " + ", ".join(SCOPES))
    if not scopes:
        raise ConfigError("a key needs a scope", hint="one of " + ", ".join(SCOPES))
    check_allowance(rpm, tpm, budget_usd, budget_period)
    if account and budget_usd is None:
        raise ConfigError("an account needs a budget to be charged against", seen=account)
    if expires_at_s is not None and expires_at_s <= now_s:
        raise ConfigError("a key cannot expire before it is made")
    secret = new_secret()
    key = VirtualKey(
        name=name,
        tenant=tenant,
        sha256=hash_of(secret.encode()),
        created_at_s=now_s,
        scopes=scopes,
        models=models,
        expires_at_s=expires_at_s,
        rpm=rpm,
        tpm=tpm,
        budget_usd=budget_usd,
        budget_period=budget_period,
        account=account,
    )
    with _alone(ledger, name, now_s):
        if any(k.revoked_at_s is None for k in ledger.read(VirtualKey, name=name)):
            raise UsageError(
                f"a key named {name!r} exists", hint="revoke it first, or choose another name"
            )
        ledger.audit(_ACTOR, "key.create", name, _allowance(key), now_s)
        ledger.put(key)
    return secret


def rotate_key(
    ledger: Ledger, name: str, *, now_s: float, grace_s: float = ROTATION_GRACE_S
) -> str:
    """Give a key a new secret and return it. The old one works for `grace_s` more seconds (0: not at all);
    one that was still in its own grace ends now. Raises UnknownName."""
    if not 0 <= grace_s < float("inf"):
        raise ConfigError("the grace must be 0 seconds or more", seen=grace_s)
    secret = new_secret()
    with _alone(ledger, name, now_s):
        key = working_key(ledger, name)
        ledger.audit(_ACTOR, "key.rotate", name, {"grace_s": grace_s}, now_s)
        ledger.put(
            replace(
                key,
                sha256=hash_of(secret.encode()),
                rotated_from=key.sha256 if grace_s else None,
                rotated_until_s=now_s + grace_s if grace_s else None,
            )
        )
    return secret


def revoke_key(ledger: Ledger, name: str, *, now_s: float) -> None:
    """Gateways notice within their `keys_refresh_s`. Raises UnknownName when no working key has it."""
    with _alone(ledger, name, now_s):
        key = working_key(ledger, name)
        ledger.audit(_ACTOR, "key.revoke", name, {}, now_s)
        ledger.put(replace(key, revoked_at_s=now_s))


def working_key(ledger: Ledger, name: str) -> VirtualKey:
    """Raises UnknownName when no key that was not revoked has the name."""
    working = {key.name: key for key in ledger.read(VirtualKey) if key.revoked_at_s is None}
    if name not in working:
        raise UnknownName("key", name, working)
    return working[name]


def find_key(ledger: Ledger, name: str) -> VirtualKey:
    """A key, revoked or not. Raises UnknownName."""
    found = ledger.read(VirtualKey, name=name)
    if not found:
        raise UnknownName("key", name, [key.name for key in ledger.read(VirtualKey)])
    return found[0]


def _allowance(key: VirtualKey) -> dict[str, object]:
    """What goes on record of a new key: all but its digest, and nothing that is not set."""
    told = {
        "scopes": list(key.scopes),
        "models": list(key.models),
        "expires_at_s": key.expires_at_s,
        "rpm": key.rpm,
        "tpm": key.tpm,
        "budget_usd": key.budget_usd,
        "budget_period": key.budget_period if key.budget_usd is not None else None,
        "account": key.account,
    }
    return {"tenant": key.tenant} | {name: value for name, value in told.items() if value}


@contextmanager
def _alone(ledger: Ledger, name: str, now_s: float) -> Iterator[None]:
    """Nobody else changes a key of this name meanwhile: of two makers one would hold a dead secret."""
    lease, owner = f"virtual-key:{name}", uuid.uuid4().hex
    if ledger.acquire(lease, owner, _LEASE_S, now_s) is not None:
        raise LeaseHeld("somebody else is changing this key", seen=name, hint="try again")
    try:
        yield
    finally:
        ledger.release(lease, owner)
