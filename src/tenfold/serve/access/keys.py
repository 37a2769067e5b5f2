"""The key ring: which secrets open the gateway now, and what each allows.

Only SHA-256 of a secret is kept, here and in the ledger. A secret has 256 random bits, so a plain hash of
it cannot be guessed backwards and needs no salt. Looking a hash up in a dictionary is as good as comparing
in constant time: what its timing tells is about the hash, and nobody can make a secret from part of a hash.
It knows no HTTP but the two headers that carry a key. Making and changing keys is `issue`'s business.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from tenfold.core.facts import VirtualKey
from tenfold.core.ports import Ledger
from tenfold.serve.access.grant import LOCAL_GRANT, Grant, TenantPolicy, grant_of
from tenfold.serve.refusal import Refusal

PREFIX = "sk-tf-"
_PREFIX = PREFIX.encode()
_INFERENCE = "inference"


def new_secret() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: bytes) -> str:
    return sha256(secret).hexdigest()


class KeyRing:
    """The keys that work now, by hash. `load` may be called from another thread than `admit`."""

    def __init__(
        self,
        required: bool | None,
        *,
        tenants: Mapping[str, TenantPolicy] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`required` None: as soon as there is or was a key. Revoking the last one shuts everybody out; it
        must not let everybody in. `tenants`: what all keys of a tenant may do together."""
        self._required = required
        self._tenants = dict(tenants or {})
        self._now = now
        self._made: dict[str, tuple[VirtualKey, Grant]] = {}
        self._by_hash: dict[str, Grant] = {}
        self._lent: dict[str, Grant] = {}
        self._by_name: dict[str, Grant] = {}
        self._any_made = False

    def lend(
        self,
        name: str,
        tenant: str,
        *,
        scopes: tuple[str, ...] = (_INFERENCE,),
        secret: str | None = None,
    ) -> str:
        """A key that works here and for as long as this process lives. The ledger never hears of it: a
        rehearsal must not change who may ask the gateway that serves afterwards. `secret`: the operator's
        own (checked with `check_admin_secret` by whoever read it), else a new one."""
        secret = secret or new_secret()
        self._lent[hash_of(secret.encode())] = Grant(tenant, name, scopes=frozenset(scopes))
        self._by_hash |= self._lent
        self._name()
        return secret

    def set_tenants(self, tenants: Mapping[str, TenantPolicy]) -> None:
        """What all keys of a tenant may do together, from the next `load` on."""
        self._tenants = dict(tenants)
        self._made = {}

    def load(self, ledger: Ledger) -> None:
        """Replace the table by what the ledger says. On a LedgerError the old table stays."""
        made = ledger.read(VirtualKey)
        now_s = self._now()
        kept: dict[str, tuple[VirtualKey, Grant]] = {}
        for key in made:
            if key.revoked_at_s is not None:
                continue
            self._keep(kept, key.sha256, key, None)
            if key.rotated_from is not None and (key.rotated_until_s or 0.0) > now_s:
                self._keep(kept, key.rotated_from, key, key.rotated_until_s)
        self._made = kept
        self._by_hash = {hash: grant for hash, (_, grant) in kept.items()} | self._lent
        self._name()
        self._any_made = self._any_made or bool(made)

    def _keep(
        self,
        kept: dict[str, tuple[VirtualKey, Grant]],
        hash: str,
        key: VirtualKey,
        until_s: float | None,
    ) -> None:
        """A key that has not changed keeps its grant: limits and budgets have found their counters."""
        before = self._made.get(hash)
        if before is not None and before[0] == key:
            kept[hash] = before
        else:
            kept[hash] = (key, grant_of(key, self._tenants, until_s=until_s))

    def _name(self) -> None:
        """A secret that was rotated away comes after its heir and must not stand for the key."""
        grants = list(self._by_hash.values())
        self._by_name = {grant.key_name: grant for grant in reversed(grants)}

    @property
    def required(self) -> bool:
        return self._any_made if self._required is None else self._required

    def admit(
        self,
        authorization: bytes | None,
        x_api_key: bytes | None = None,
        scope: str = _INFERENCE,
    ) -> Grant:
        """What a caller may do. Raises Refusal: 401 without a key that works, 403 for one that works but
        is not for this. Anthropic's clients send `x-api-key`; `Authorization` counts when both are there.

        A key of ours that does not work is refused even where none is needed: whoever sends it believes
        that it counts.
        """
        if authorization is None:
            secret = x_api_key
        elif authorization[:7] == b"Bearer ":
            secret = authorization[7:]
        else:
            scheme, _, secret = authorization.partition(b" ")
            if scheme.lower() != b"bearer":
                # A key under another scheme does not count, and is refused like any that does not work.
                secret = b"" if not secret.strip().startswith(_PREFIX) else _PREFIX
        if secret is None:
            if self.required:
                raise _refused(
                    "You did not send an API key. Use `Authorization: Bearer sk-tf-...`."
                )
            grant = LOCAL_GRANT
        else:
            found = self._by_hash.get(sha256(secret).hexdigest())
            if found is None:
                found = self._by_hash.get(sha256(secret.strip()).hexdigest())
            if found is None:
                grant = self._stranger(secret)
            elif found.expires_at_s is not None and found.expires_at_s <= self._now():
                raise _expired()
            else:
                grant = found
        if scope not in grant.scopes:
            raise Refusal(
                403, f"This API key is not for {scope} requests.", code="insufficient_permissions"
            )
        return grant

    def named(self, tenant: str, name: str) -> Grant:
        """The grant of a key by its name, empty for none: for work that its holder left here earlier. Raises
        Refusal (401) when the key works no more."""
        if not name and not self.required:
            return LOCAL_GRANT
        found = self._by_name.get(name)
        if found is None or found.tenant != tenant:
            raise _refused("The API key that asked for this is revoked.")
        if found.expires_at_s is not None and found.expires_at_s <= self._now():
            raise _expired()
        return found

    def works(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether these headers carry a key that is known, for whatever it may be used."""
        authorization = headers.get(b"authorization", b"")
        secret = authorization[7:] if authorization[:7].lower() == b"bearer " else b""
        secret = secret.strip() or headers.get(b"x-api-key", b"").strip()
        return hash_of(secret) in self._by_hash

    def _stranger(self, secret: bytes) -> Grant:
        """Who came with a secret that opens nothing."""
        if self.required or secret.strip().startswith(_PREFIX):
            raise _refused("Incorrect API key provided: it is unknown, revoked or of another kind.")
        return LOCAL_GRANT


def _refused(message: str, code: str = "invalid_api_key") -> Refusal:
    return Refusal(401, message, code=code, headers=((b"www-authenticate", b"Bearer"),))


def _expired() -> Refusal:
    return _refused("Incorrect API key provided: it has expired.", "expired_api_key")
