"""The canonical key of a request: equal exactly when the answer may be reused.

It covers whoever may see the answer, whoever gives it, and everything in the request that changes it. It
leaves out what only describes the caller or the delivery. It knows no protocol and no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from tenfold.errors import InputError

EPOCH = 1
"""Raised when the meaning of a key or of a stored answer changes."""

IRRELEVANT = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""Fields of the OpenAI protocol that name the caller or its bookkeeping. Any other unknown field counts:
a key that is too fine costs a hit, one that is too coarse gives a wrong answer."""


def canonical_key(
    endpoint: str,
    tenant: str,
    model: str,
    digest: str,
    content: Sequence[Any],
) -> bytes:
    """32 bytes. `content` is plain JSON; mappings in it may come in any order.

    Raises InputError when it is nested deeper than the encoder goes (254 levels).
    """
    try:
        encoded = orjson.dumps(
            [EPOCH, endpoint, tenant, model, digest, content], option=orjson.OPT_SORT_KEYS
        )
    except TypeError as error:
        raise InputError(f"the request has no canonical form: {error}") from None
    return blake2b(encoded, digest_size=32).digest()


def relevant(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of `extra` that may change an answer."""
    if not extra or IRRELEVANT.isdisjoint(extra):
        return extra
    return {name: value for name, value in extra.items() if name not in IRRELEVANT}
