"""Which answers may be used again: what the request wants, what its protocol implies, what the operator set.

A request that may not be answered from a tier does not join a flight either: two that want to vary must not
get the same. It knows no key and no tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.errors import ConfigError
from tenfold.serve.cache.stored import Stored

SAMPLED = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
EXACT = frozenset({"/v1/embeddings"})
"""Endpoints that give the same every time."""

OUTSIDE = (
    "background",  # the answer is a ticket
    "container",
    "conversation",
    "mcp_servers",
    "web_search_options",
)
"""Fields by which an answer depends on what is not in the request."""

CALLER_TOOLS = ("function", "custom", "bash", "text_editor", "computer", "memory", "local_shell")
"""Tools that the caller runs. Any other type is run by the server, on a world that changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """What the operator allows, per key or tenant."""

    enabled: bool = True
    cache_sampled: bool = False
    """Keep answers also where temperature is above 0 and there is no seed; they then repeat."""
    ttl_s: float | None = None
    """How long an answer may be used, above 0; None: until there is no room."""
    ttl_s_by_model: Mapping[str, float] = field(default_factory=dict)
    """Instead of `ttl_s`, for models by name."""

    def __post_init__(self) -> None:
        for seconds in (self.ttl_s, *self.ttl_s_by_model.values()):
            if seconds is not None and not seconds > 0:
                raise ConfigError("a time to live must be above 0", seen=seconds)

    def expires_at_s(self, model: str, now_s: float) -> float:
        """For Stored: a Unix time, or 0 where it does not expire."""
        ttl_s = self.ttl_s_by_model.get(model, self.ttl_s)
        return 0.0 if ttl_s is None else now_s + ttl_s

    def may_reuse(self, endpoint: str, plain: Mapping[str, Any]) -> bool:
        """Whether the request may be answered from a tier, fill one, and share a flight."""
        if not self.enabled:
            return False
        if endpoint in EXACT:
            return True
        if endpoint not in SAMPLED or _looks_outside(plain):
            return False
        return not wants_several(plain) and (self.cache_sampled or not wants_to_vary(plain))


def wants_several(plain: Mapping[str, Any]) -> bool:
    """More than one answer to the same question."""
    return plain.get("n") not in (None, 1) or plain.get("best_of") not in (None, 1)


def wants_to_vary(plain: Mapping[str, Any]) -> bool:
    """A temperature above 0, which is also what no temperature means, and no seed."""
    return plain.get("seed") is None and plain.get("temperature") != 0


def _looks_outside(plain: Mapping[str, Any]) -> bool:
    for name in OUTSIDE:
        if plain.get(name):
            return True
    tools = plain.get("tools")
    if tools:
        return not isinstance(tools, list) or not all(map(_callers_own, tools))
    return False


def _callers_own(tool: object) -> bool:
    """`bash_20250124` is a `bash`; no type is a function, as the Messages protocol has it."""
    kind = tool.get("type") if isinstance(tool, dict) else ""
    return kind is None or (
        isinstance(kind, str) and kind.startswith(CALLER_TOOLS) and "code" not in kind
    )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `Cache-Control` of a request says (RFC 9111, 5.2.1)."""

    look: bool = True
    """An answer from a tier will do."""
    store: bool = True
    max_age_s: float | None = None
    """None: of any age."""
    only_cached: bool = False
    """Rather 504 than an answer made now."""

    def suits(self, stored: Stored, now_s: float) -> bool:
        return self.look and (
            self.max_age_s is None or now_s - stored.created_at_s <= self.max_age_s
        )


NO_WISHES = Wishes()


def wishes(cache_control: bytes | None) -> Wishes:
    """Of the header's value. What it does not know, or cannot read, it leaves out, as the RFC says; a
    `max-age` that is no number counts as 0."""
    if not cache_control:
        return NO_WISHES
    look = store = True
    only_cached = False
    max_age_s = None
    for directive in cache_control.lower().split(b","):
        name, _, value = directive.partition(b"=")
        match name.strip():
            case b"no-cache":
                look = False
            case b"no-store":
                look = store = False
            case b"only-if-cached":
                only_cached = True
            case b"max-age":
                digits = value.strip().strip(b'"')
                max_age_s = float(digits) if digits.isdigit() and len(digits) < 16 else 0.0
    return Wishes(look, store, max_age_s, only_cached)
