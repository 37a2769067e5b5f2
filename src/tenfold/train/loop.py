"""The one training loop: batches, accumulation, clipping, updates, events. It knows no family of models.

A step is a pure function of the weights, the optimisers' states and the step's number: the schedule, the
batch and the randomness are all drawn from that number. So a run that was killed and goes on from a
checkpoint ends with the same bytes as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from tenfold.errors import StepFailed
from tenfold.train.precision import products_in
from tenfold.train.recipe import Batches, Phase, Recipe
from tenfold.train.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    steps: int
    """Updates in all, 1 or more."""
    seed: int
    schedule: Schedule
    clip: float = 1.0
    """Largest Euclidean norm of a phase's gradient; 0: unbounded. (Pascanu et al. 2013, 1211.5063.)"""
    dtype: torch.dtype = torch.float32
    """Of the matrix products."""
    checkpoint_every: int = 0
    """Steps; 0: never."""


class Events(Protocol):
    """Who wants to know how a run is going, and keeps its checkpoints."""

    def resume(self, network: nn.Module, phases: Sequence[Phase]) -> int:
        """Put the newest checkpoint back and return its number of finished steps, or 0."""
        ...

    def stepped(self, step: int, losses: Mapping[str, float]) -> None:
        """`step` steps are finished; the mean loss of each phase that ran in the last."""
        ...

    def checkpoint(self, step: int, network: nn.Module, phases: Sequence[Phase]) -> None: ...


def train(
    recipe: Recipe, batches: Batches, settings: LoopSettings, events: Events
) -> tuple[nn.Module, dict[str, float]]:
    """Run to the end. Returns the network in evaluation mode, and the recipe's scores.

    Raises StepFailed when a loss stops being a number.
    """
    network = recipe.build(torch.Generator().manual_seed(settings.seed))
    phases = recipe.phases(network)
    peaks = {
        (index, number): [group["lr"] for group in optimiser.param_groups]
        for index, phase in enumerate(phases)
        for number, optimiser in enumerate(phase.optimisers)
    }
    network.train()
    for step in range(events.resume(network, phases), settings.steps):
        parts = batches.at(step)
        # the step's own source of chance: the golden ratio's bits keep neighbouring seeds apart
        chance = torch.Generator().manual_seed((settings.seed ^ step * 0x9E3779B97F4A7C15) % 2**63)
        share = settings.schedule(step)
        losses = {}
        for index, phase in enumerate(phases):
            if step % phase.every:
                continue
            total = 0.0
            for part in parts:
                with products_in(settings.dtype):
                    loss = phase.loss(part, chance) / len(parts)
                loss.backward()
                total += float(loss.detach())
            if not math.isfinite(total):
                raise StepFailed(
                    f"the loss {phase.name!r} stopped being a number at step {step + 1}",
                    seen=total,
                    hint="lower the learning rate, or lengthen the warm-up",
                )
            if settings.clip:
                nn.utils.clip_grad_norm_(phase.parameters(), settings.clip)
            for number, optimiser in enumerate(phase.optimisers):
                for group, peak in zip(optimiser.param_groups, peaks[index, number], strict=True):
                    group["lr"] = peak * share
                optimiser.step()
            network.zero_grad(set_to_none=True)
            losses[phase.name] = total
        done = step + 1
        events.stepped(done, losses)
        every = settings.checkpoint_every
        if every and done % every == 0 and done < settings.steps:
            events.checkpoint(done, network, phases)
    network.eval()
    return network, dict(recipe.evaluate(network))
