"""An unfinished run as files: weights and optimiser states in safetensors. Exact to the bit.

The position in the data, the learning rate and the randomness of a step all follow from its number, so
nothing else has to be kept. Knows nothing about when checkpoints are made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tenfold.core.asset import Asset, Draft
from tenfold.errors import InputError
from tenfold.train.recipe import Phase

NETWORK = "network.safetensors"
OPTIMISERS = "optimisers.safetensors"


def write(draft: Draft, network: nn.Module, phases: Sequence[Phase]) -> Draft:
    """Everything the next step depends on, into `draft`."""
    from safetensors.torch import save

    draft.write_bytes(NETWORK, save(dict(network.state_dict())))
    draft.write_bytes(OPTIMISERS, save(_states(phases)))
    return draft


def read(asset: Asset, network: nn.Module, phases: Sequence[Phase]) -> None:
    """Put a checkpoint back into a freshly built network and its optimisers.

    Raises InputError when it is damaged or was made by another recipe.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        network.load_state_dict(load(asset.read_bytes(NETWORK)))
        stored = load(asset.read_bytes(OPTIMISERS))
        for name, optimiser in _optimisers(phases):
            states: dict[int, dict[str, Tensor]] = {}
            for key, tensor in stored.items():
                owner, index, field = key.split("/")
                if owner == name:
                    states.setdefault(int(index), {})[field] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the checkpoint does not fit this run: {error}",
            where=repr(asset),
            hint="remove it (tenfold gc) and start the step afresh",
        ) from None


def _states(phases: Sequence[Phase]) -> dict[str, Tensor]:
    return {
        f"{name}/{index}/{field}": torch.as_tensor(value).contiguous()
        for name, optimiser in _optimisers(phases)
        for index, state in optimiser.state_dict()["state"].items()
        for field, value in state.items()
    }


def _optimisers(phases: Sequence[Phase]) -> list[tuple[str, torch.optim.Optimizer]]:
    return [
        (f"{phase.name}.{number}", optimiser)
        for phase in phases
        for number, optimiser in enumerate(phase.optimisers)
    ]
