"""The canonical key of a request: equal exactly when the answer may be reused.

It covers who may see the answer, who gives it, under which policy, and the whole decoded body; it leaves out
what only describes the caller or the delivery. In doubt it is finer: that costs a hit, too coarse a key gives
a wrong answer. It knows no protocol and no store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from tenfold.errors import InputError

VERSION = 2
"""Raised when the meaning of a key changes."""

IRRELEVANT = frozenset(
    {
        "model",  # covered as name and digest, after aliases
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""Fields that name the caller, its bookkeeping or the delivery."""

FLOATS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
"""Numbers by protocol, so that 1 and 1.0 say the same."""

_SORTED = orjson.OPT_SORT_KEYS


def canonical_key(
    endpoint: str,
    partition: str,
    model: str,
    digest: str,
    plain: Mapping[str, Any],
    epoch: int = 0,
    further: Sequence[str] = (),
) -> bytes:
    """32 bytes. `plain` is the decoded body; `partition` whoever may share the answer (the tenant);
    `further` what else tells requests apart (`long_numbers`, a form).

    A field that is null counts as absent, and so does `n` = 1. Raises InputError where the body is nested
    too deep to be encoded.
    """
    content = {
        name: value for name, value in plain.items() if value is not None and name not in IRRELEVANT
    }
    for name in FLOATS:
        if type(value := content.get(name)) is int and -(2**53) <= value <= 2**53:
            content[name] = float(value)
    if (
        type(n := content.get("n")) is int and n == 1
    ):  # not for true or 1.0: let those find no company
        del content["n"]
    named = [VERSION, epoch, endpoint, partition, model, digest, content, *further]
    try:
        encoded = orjson.dumps(named, option=_SORTED)
    except TypeError:
        encoded = _unusual(named)
    # SHA-256 rather than BLAKE2b: processors have instructions for it (0.8 and 1.2 us for 400 bytes).
    return sha256(encoded).digest()


_LONG = re.compile(rb"[0-9]{17,}").findall
_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_RUN = b"0" * 17


def long_numbers(body: bytes) -> list[str]:
    """Digits that a decoded number may have lost: beyond 64 bits it is rounded, and two questions would
    look like one."""
    if _RUN not in body.translate(_DIGITS):  # a tenth of what the expression costs
        return []
    return [digits.decode() for digits in _LONG(body)]


def _unusual(named: list[Any]) -> bytes:
    """What orjson cannot say: integers beyond 64 bits, halves of characters. It starts with a space, so
    that it never equals what orjson makes."""
    try:
        return b" " + json.dumps(named, sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the request has no canonical form: {error}") from None
