"""Cross-entropy of a linear output layer without ever holding all its logits.

For a small model with a vocabulary of thousands the logits are the largest tensors by far, and writing
and reading them costs more than the products that make them. Here they live for one chunk of tokens at a
time, and their gradient is taken while the chunk is still in the cache (the idea of Liger Kernel's fused
linear cross-entropy, arXiv 2410.10989, section 3.2). Knows nothing about models or optimisers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_TOKENS = 512
"""512 x 4,096 logits in float32 are 8 MB, which a last-level cache holds."""


def linear_cross_entropy(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Mean over N of -log softmax(hidden @ weight.T)[target], in nats, differentiable in both factors.

    Products run in the precision of `hidden`; the softmax and the sum over chunks are in float32.
    """
    return _LinearCrossEntropy.apply(hidden_ND, weight_VD, targets_N)  # type: ignore[no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        narrow = weight.to(hidden.dtype)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        total = torch.zeros((), dtype=torch.float64)
        tiny = torch.finfo(torch.float32).tiny
        for start in range(0, len(hidden), CHUNK_TOKENS):
            rows = slice(start, start + CHUNK_TOKENS)
            own = hidden[rows]
            # widened first: softmax(..., dtype=float32) on bfloat16 has no vector code on CPUs
            probabilities = F.softmax((own @ narrow.T).float(), dim=-1)
            wanted = targets[rows].unsqueeze(1)
            total -= probabilities.gather(1, wanted).clamp_(min=tiny).log_().sum()
            probabilities.scatter_add_(
                1, wanted, torch.full_like(wanted, -1.0, dtype=torch.float32)
            )
            gradient = probabilities.to(hidden.dtype)
            torch.mm(gradient, narrow, out=hidden_gradient[rows])
            weight_gradient += gradient.T @ own
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.count = len(hidden)
        return (total / len(hidden)).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        hidden_gradient, weight_gradient = ctx.saved_tensors
        scale = outer / ctx.count
        return hidden_gradient * scale.to(hidden_gradient.dtype), weight_gradient * scale, None
