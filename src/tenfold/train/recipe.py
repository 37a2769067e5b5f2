"""What the loop needs to know about a family of models: which networks, which losses, which optimisers.

A language model has one phase per step; a GAN has two (critic, generator); a distilled student has one
whose loss asks its teachers. Everything that is special about a family stays behind this seam.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One update within a step: a loss, and the optimisers that lower it."""

    name: str
    loss: Callable[[Tensor, torch.Generator], Tensor]
    """(part of a batch, source of randomness) -> mean loss. Draws nothing from global generators, so
    that a resumed run draws the same numbers."""
    optimisers: Sequence[torch.optim.Optimizer]
    """Their learning rates are the peaks; the loop scales them by the schedule."""
    every: int = 1
    """Runs in steps whose number is a multiple of this, 1 or more."""

    def parameters(self) -> list[nn.Parameter]:
        return [
            parameter
            for optimiser in self.optimisers
            for group in optimiser.param_groups
            for parameter in group["params"]
        ]


class Recipe(Protocol):
    """A family of models, ready to be trained."""

    def build(self, generator: torch.Generator) -> nn.Module:
        """The network with fresh weights; several networks come as one `nn.ModuleDict`."""
        ...

    def phases(self, network: nn.Module) -> Sequence[Phase]:
        """The updates of one step, in order."""
        ...

    def evaluate(self, network: nn.Module) -> Mapping[str, float]:
        """Scores on data that was not trained on; empty when there is none."""
        ...


class Batches(Protocol):
    """Training data by step number: asking twice gives the same, so the position is the step."""

    units_per_step: int
    """Tokens, images or rows in one step, whatever the family counts."""

    def at(self, step: int) -> Sequence[Tensor]:
        """A batch in equal parts; gradients are averaged over them before an update."""
        ...
