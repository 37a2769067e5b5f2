"""What an origin tells an edge, and what both call things. docs/edge.md is this file in prose.

Pure. It knows no server, no store and no template.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from tenfold.errors import InputError

SURROGATE_CONTROL = b"surrogate-control"
SURROGATE_KEY = b"surrogate-key"
SURROGATE_CAPABILITY = b"surrogate-capability"
SLOT_TOKEN = b"x-tenfold-slots"
"""Request header that carries a signed token of slot values; the cookie of the next line does, too."""
SLOT_COOKIE = "tenfold_slots"
SLOT_HEADER = b"x-tenfold-slot-"
"""Prefix of request headers with one slot value each (see `slot_header`); heard from trusted hops only."""
VERDICT = b"x-tenfold-edge"
"""Answer header: HIT, MISS, STALE, UPDATING, EXPIRED, REVALIDATED or BYPASS."""
INTERNAL_PATH = "/.tenfold/"
"""Paths below it belong to the edge: never forwarded, never answered to the outside."""
PURGE_PATH = "/.tenfold/purge"
PURGE_MODE = b"x-tenfold-purge"
"""`soft` or `hard`, on a POST to the purge path."""

SSI, ESI, SLOTS = "SSI/1.0", "ESI/1.0", "tenfold-slots/1"
PERSONAL = b"private, no-store"
"""Downstream Cache-Control of every page with slots, filled or not."""
ANONYMOUS = "anonymous"
MAX_KEY_BODY_BYTES = 32 * 1024
"""Longer request bodies pass through uncached. nginx keeps the body in the key, and its header of a stored
answer counts in 16 bits; a body it spilled to disk has no text to tell it from another."""
MAX_SURROGATE_KEYS = 32
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_DIRECTIVE = re.compile(r'\s*([A-Za-z-]+)(?:=(?:"([^"]*)"|([^\s,;"]*)))?\s*(?:[,;]|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateControl:
    """How long an edge may keep an answer. Without this header an answer is never kept."""

    max_age_s: int = 0
    """Fresh for so long; 0 or more. 0 keeps nothing."""
    stale_while_revalidate_s: int = 0
    """For so long after that, an old answer is given at once while a new one is fetched."""
    stale_if_error_s: int = 0
    """For so long after it was fresh, an old answer is given when the origin fails (no connection, 5xx)."""
    content: str | None = None
    """What the body must be processed as: SSI/1.0, ESI/1.0 or tenfold-slots/1. None: bytes as they are."""

    def __post_init__(self) -> None:
        for name in ("max_age_s", "stale_while_revalidate_s", "stale_if_error_s"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be 0 or more", seen=getattr(self, name))
        if self.content not in (None, SSI, ESI, SLOTS):
            raise InputError("no edge knows this content", seen=self.content)

    @property
    def stored(self) -> bool:
        return self.max_age_s > 0

    def line(self) -> bytes:
        """The header's value."""
        parts = [f"max-age={self.max_age_s}"]
        if self.stale_while_revalidate_s:
            parts.append(f"stale-while-revalidate={self.stale_while_revalidate_s}")
        if self.stale_if_error_s:
            parts.append(f"stale-if-error={self.stale_if_error_s}")
        if self.content is not None:
            parts.append(f'content="{self.content}"')
        return ", ".join(parts).encode()


NOT_STORED = SurrogateControl()


def parse_control(value: bytes) -> SurrogateControl:
    """What a Surrogate-Control header says. Whatever is not understood means: do not keep."""
    text = value.decode("latin-1")
    said: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _DIRECTIVE.match(text, at)
        if found is None or found.end() == at:
            return NOT_STORED
        said[found[1].lower()] = found[2] if found[2] is not None else (found[3] or "")
        at = found.end()
    if said.keys() & {"no-store", "no-cache", "private"}:
        return NOT_STORED
    try:
        return SurrogateControl(
            max_age_s=_seconds(said.get("max-age", "0")),
            stale_while_revalidate_s=_seconds(said.get("stale-while-revalidate", "0")),
            stale_if_error_s=_seconds(said.get("stale-if-error", "0")),
            content=said.get("content"),
        )
    except InputError:
        return NOT_STORED


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InputError("not a number of seconds", seen=text)
    return int(text)


def surrogate_keys(keys: tuple[str, ...] | list[str]) -> bytes:
    """The value of a Surrogate-Key header. Raises InputError for a key that a header cannot carry."""
    if len(keys) > MAX_SURROGATE_KEYS:
        raise InputError(f"more than {MAX_SURROGATE_KEYS} surrogate keys", seen=len(keys))
    for key in keys:
        if not _KEY.fullmatch(key):
            raise InputError("not a surrogate key", seen=key, hint="letters, digits, . _ : -")
    return " ".join(keys).encode()


def slot_header(name: str) -> bytes:
    """The header that carries a slot's value. With hyphens: servers drop header names with underscores."""
    return SLOT_HEADER + name.replace("_", "-").encode()


def credential_of(authorization: bytes, x_api_key: bytes) -> bytes:
    """The secret in a request's headers, without the scheme before it; empty when there is none."""
    scheme, _, rest = authorization.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else authorization or x_api_key


def key_of_credential(digest_hex: str) -> str:
    """The surrogate key of all answers to one API key, from the hex SHA-256 of that key: a gateway knows
    only the hash, and purges by it when the key is revoked."""
    return f"key-{digest_hex[:16]}"


def partition_of(authorization: bytes, x_api_key: bytes) -> str:
    """Who may share stored answers: whoever sends the same credentials. Not reversible, safe on disk."""
    if not authorization and not x_api_key:
        return ANONYMOUS
    return hashlib.sha256(authorization + b"\n" + x_api_key).hexdigest()
