"""Which optimiser moves which weights. Knows parameters, not what they compute."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Method = Literal["muon", "adamw"]


def make(
    network: nn.Module, method: Method, *, learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Optimisers for all weights of `network`, with their peak learning rates.

    `adamw`: AdamW for everything (Loshchilov and Hutter 2019, arXiv 1711.05101), beta2 0.95 as usual for
    short runs of language models. `muon`: momentum made orthogonal for the matrices inside the layers
    (Jordan et al. 2024, kellerjordan.github.io/posts/muon), scaled to the size of AdamW's updates so that
    one learning rate serves both (Liu et al. 2025, arXiv 2502.16982, equation 4); AdamW for embeddings,
    the output layer and gains. Gains are never decayed.
    """
    embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    inner, outer, gains = [], [], []
    for name, parameter in network.named_parameters():
        if parameter.dim() < 2:
            gains.append(parameter)
        elif id(parameter) in embeddings or name.endswith("head.weight"):
            outer.append(parameter)
        else:
            inner.append(parameter)
    groups = [
        {"params": outer if method == "muon" else inner + outer, "weight_decay": weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), fused=True)
    ]
    if method == "muon":
        made.append(
            torch.optim.Muon(
                inner,
                lr=learning_rate,
                weight_decay=weight_decay,
                momentum=0.95,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return made
