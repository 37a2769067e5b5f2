"""tenfold: an AI factory, from raw data to a served, watched and governed model, and round again.

Everything below is public and imported when first used; every other module may change.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Asset": "tenfold.core.asset",
    "Blocks": "tenfold.core.blocks",
    "Check": "tenfold.core.checks",
    "Context": "tenfold.core.step",
    "Corpus": "tenfold.core.asset",
    "Document": "tenfold.core.asset",
    "Draft": "tenfold.core.asset",
    "Factory": "tenfold.factory",
    "LocalBlobs": "tenfold.stores.local",
    "MemoryBackend": "tenfold.serve.backends.memory",
    "MemoryBlobs": "tenfold.stores.memory",
    "MemoryLedger": "tenfold.ledger.memory",
    "Model": "tenfold.core.asset",
    "Plan": "tenfold.core.plan",
    "Progress": "tenfold.core.progress",
    "Report": "tenfold.core.asset",
    "Resources": "tenfold.core.step",
    "RunOutcome": "tenfold.factory",
    "Shards": "tenfold.core.asset",
    "Share": "tenfold.core.blocks",
    "Snapshot": "tenfold.core.asset",
    "SqliteLedger": "tenfold.ledger.sqlite",
    "Step": "tenfold.core.step",
    "Table": "tenfold.core.asset",
    "TenfoldError": "tenfold.errors",
    "Tokenizer": "tenfold.core.asset",
    "Trigger": "tenfold.core.triggers",
    "step": "tenfold.core.step",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'tenfold' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from tenfold.core.asset import (
        Asset,
        Corpus,
        Document,
        Draft,
        Model,
        Report,
        Shards,
        Snapshot,
        Table,
        Tokenizer,
    )
    from tenfold.core.blocks import Blocks, Share
    from tenfold.core.checks import Check
    from tenfold.core.plan import Plan
    from tenfold.core.progress import Progress
    from tenfold.core.step import Context, Resources, Step, step
    from tenfold.core.triggers import Trigger
    from tenfold.errors import TenfoldError
    from tenfold.factory import Factory, RunOutcome
    from tenfold.ledger.memory import MemoryLedger
    from tenfold.ledger.sqlite import SqliteLedger
    from tenfold.serve.backends.memory import MemoryBackend
    from tenfold.stores.local import LocalBlobs
    from tenfold.stores.memory import MemoryBlobs
