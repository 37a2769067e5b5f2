"""Virtual keys: who may ask, and for whom. Only SHA-256 of a secret is kept, here and in the ledger.

A secret has 256 random bits, so a plain hash of it cannot be guessed backwards and needs no salt. Looking
a hash up in a dictionary tells an attacker nothing about the secrets by its timing. It knows no HTTP but
the `Authorization` header.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256

from tenfold.core.facts import VirtualKey
from tenfold.core.ports import Ledger
from tenfold.errors import ConfigError, UnknownName, UsageError
from tenfold.serve.gateway.refusal import Refusal

PREFIX = "sk-tf-"
LOCAL = ("local", "")
"""Tenant and key name of whoever asks an open gateway without a key."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}\Z")


def create_key(ledger: Ledger, name: str, *, tenant: str, now_s: float) -> str:
    """Make a key and return its secret, the only time it can be seen.

    Raises UsageError when a working key has that name already, ConfigError for a name that would not
    read well in a log.
    """
    for what, value in (("key name", name), ("tenant", tenant)):
        if not _NAME.match(value):
            raise ConfigError(
                f"not a {what}", seen=value, hint="letters, digits and ._:@- up to 100"
            )
    for key in ledger.read(VirtualKey, name=name):
        if key.revoked_at_s is None:
            raise UsageError(
                f"a key named {name!r} exists", hint="revoke it first, or choose another name"
            )
    secret = PREFIX + secrets.token_urlsafe(32)
    ledger.put(
        VirtualKey(name=name, tenant=tenant, sha256=hash_of(secret.encode()), created_at_s=now_s)
    )
    ledger.audit("gateway", "key.create", name, {"tenant": tenant}, now_s)
    return secret


def revoke_key(ledger: Ledger, name: str, *, now_s: float) -> None:
    """Gateways notice within their `keys_refresh_s`. Raises UnknownName when no working key has it."""
    working = [key for key in ledger.read(VirtualKey) if key.revoked_at_s is None]
    found = [key for key in working if key.name == name]
    if not found:
        raise UnknownName("key", name, [key.name for key in working])
    for key in found:
        ledger.put(
            VirtualKey(
                name=key.name,
                tenant=key.tenant,
                sha256=key.sha256,
                created_at_s=key.created_at_s,
                revoked_at_s=now_s,
            )
        )
    ledger.audit("gateway", "key.revoke", name, {}, now_s)


def hash_of(secret: bytes) -> str:
    return sha256(secret).hexdigest()


class KeyRing:
    """The keys that work now, by hash. `load` may be called from another thread than `admit`."""

    def __init__(self, required: bool | None) -> None:
        """`required` None: as soon as there is or was a key. Revoking the last one shuts everybody out; it
        must not let everybody in."""
        self._required = required
        self._by_hash: dict[str, tuple[str, str]] = {}
        self._lent: dict[str, tuple[str, str]] = {}
        self._any_made = False

    def lend(self, name: str, tenant: str) -> str:
        """A key that works here and for as long as this process lives. The ledger never hears of it: a
        rehearsal must not change who may ask the gateway that serves afterwards."""
        secret = PREFIX + secrets.token_urlsafe(32)
        self._lent[hash_of(secret.encode())] = (tenant, name)
        self._by_hash |= self._lent
        return secret

    def load(self, ledger: Ledger) -> None:
        """Replace the table by what the ledger says. On a LedgerError the old table stays."""
        made = ledger.read(VirtualKey)
        standing = {key.sha256: (key.tenant, key.name) for key in made if key.revoked_at_s is None}
        self._by_hash = standing | self._lent
        self._any_made = self._any_made or bool(made)

    @property
    def required(self) -> bool:
        return self._any_made if self._required is None else self._required

    def admit(self, authorization: bytes | None) -> tuple[str, str]:
        """(tenant, key name) of a caller. Raises Refusal (401).

        A key of ours that does not work is refused even where none is needed: whoever sends it believes
        that it counts.
        """
        if authorization is None:
            if self.required:
                raise _refused(
                    "You did not send an API key. Use `Authorization: Bearer sk-tf-...`."
                )
            return LOCAL
        scheme, _, secret = authorization.partition(b" ")
        secret = secret.strip()
        if scheme.lower() == b"bearer" and secret:
            found = self._by_hash.get(hash_of(secret))
            if found is not None:
                return found
        if self.required or secret.startswith(PREFIX.encode()):
            raise _refused("Incorrect API key provided: it is unknown, revoked or of another kind.")
        return LOCAL


def _refused(message: str) -> Refusal:
    return Refusal(
        401, message, code="invalid_api_key", headers=((b"www-authenticate", b"Bearer"),)
    )
