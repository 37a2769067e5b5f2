"""Canonical JSON, digests and step keys.

A key names a computation before it has run: same key, same work. It is built from *output* digests of
the inputs, so identical bytes upstream stop a cascade (early cut-off). Knows nothing about assets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from tenfold.errors import ConfigError

KERNEL_EPOCH = 1
"""Raised when the meaning of a key or the bytes of a manifest change; every key changes with it."""


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, finite numbers only: equal values give equal bytes.

    Raises ConfigError for what JSON cannot say (a set, a NaN, a key that is not a string).
    """
    try:
        _check_keys(value)
        text = _encoder.encode(value)
        if "-0.0" in text:
            text = _encoder.encode(_without_negative_zero(value))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"not representable as canonical JSON: {error}", seen=value) from None


_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def _check_keys(value: Any) -> None:
    """The encoder would turn 1 and None into text, and two keys into one."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} is not a string")
            if isinstance(item, _CONTAINERS):
                _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, _CONTAINERS):
                _check_keys(item)


_CONTAINERS = (dict, list, tuple)


def _without_negative_zero(value: Any) -> Any:
    """-0.0 equals 0.0, so it must not have bytes of its own."""
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, dict):
        return {key: _without_negative_zero(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_negative_zero(item) for item in value]
    return value


def digest(data: bytes) -> str:
    """SHA-256 as 64 hex characters."""
    return hashlib.sha256(data).hexdigest()


def step_key(
    step: str,
    version: str,
    config: Any,
    inputs: Sequence[tuple[str, str]],
    *,
    observed: Any = None,
    environment: Any = None,
) -> str:
    """The name of one computation.

    `inputs` are (parameter, digest) pairs in the order the step takes them. `observed` is what a source
    step saw of the outside world (file digests, say). `environment` is given only under `strict_env`.
    """
    return digest(
        canonical_json(
            {
                "epoch": KERNEL_EPOCH,
                "step": step,
                "version": version,
                "config": config,
                "inputs": [list(pair) for pair in inputs],
                "observed": observed,
                "environment": environment,
            }
        )
    )
