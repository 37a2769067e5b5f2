"""The fingerprint of where a step ran: recorded with every result, keyed only under `strict_env`."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata
from typing import Any

_PACKAGES = ("tenfold", "torch", "numpy", "tokenizers", "safetensors")


@cache
def environment() -> dict[str, Any]:
    """Interpreter, machine type and the versions of what computes. Reads metadata, imports nothing."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": versions,
    }
