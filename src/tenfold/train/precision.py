"""In which numbers the products run. Weights, sums and optimiser states are float32 in any case."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def settle(wanted: Precision) -> torch.dtype:
    """bfloat16 where this processor multiplies it natively, when the choice is ours.

    Elsewhere torch would emulate it, at a fraction of float32's speed.
    """
    if wanted == "auto":
        able = torch.cpu.get_capabilities()
        fast = any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def products_in(dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Within it, matrix products run in `dtype`. Does nothing for float32."""
    return torch.autocast("cpu", dtype, enabled=dtype != torch.float32)
