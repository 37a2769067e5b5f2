"""Finds the shapes in which a row's logits do not depend on its neighbours, by trying them.

Runs once when an engine starts, on the real weights, in some dozens of decode steps over caches filled with
noise. It knows the network and nothing of requests. A trial cannot prove equality for all inputs; but the
order of additions is a property of shape and place, not of values, and each step compares thousands of sums
that went through every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.models.cache import BLOCK
from tenfold.serve.engine.network import SMALLEST_RUNG, LlamaNetwork

_LENGTH = 37
"""Of the row that is watched: in the second block, and no multiple of a vector's width."""
_COMPANY = (37, 64, 96, 130)
"""Longest of the others: each makes attention read another number of blocks."""
_LONGEST = max(_COMPANY)
_STEPS = 2


def settle(network: LlamaNetwork) -> None:
    """Set `rungs`, `block` and `exact` of a network whose slots are empty, and leave them empty.

    When not even one shape treats all its places alike (some attention kernels share one row among several
    threads), `exact` is False and the shapes are those that are fastest.
    """
    slots, width = network.cache.slots, network.cache.width
    ladder = _ladder(slots)
    watched = _fill_with_noise(network)

    def agrees(reference: Tensor, rung: int, block: int) -> bool:
        places = (0, 1 % rung, rung // 2, rung - 1)
        return all(
            torch.equal(reference, _trace(network, watched, rung, block, place, longest))
            for place, longest in zip(places, _COMPANY, strict=True)
        )

    reference = _trace(network, watched, slots, width, 0, _LONGEST)
    network.exact = agrees(reference, slots, width)
    if network.exact:
        blocks = (block for block in (BLOCK, 2 * BLOCK, 4 * BLOCK) if block < width)
        block = next((b for b in blocks if agrees(reference, slots, b)), width)
        rungs = [rung for rung in ladder if rung == slots or agrees(reference, rung, block)]
    else:
        block, rungs = min(BLOCK, width), ladder
    network.rungs, network.block = tuple(rungs), block


def _ladder(slots: int) -> list[int]:
    rungs = []
    rung = SMALLEST_RUNG
    while rung < slots:
        rungs.append(rung)
        rung *= 2
    return [*rungs, slots]


def _fill_with_noise(network: LlamaNetwork) -> Tensor:
    """Keys and values for every slot; returns one more slot's worth, for the row that is watched."""
    kv = network.cache.kv
    noise = torch.Generator().manual_seed(0)
    kv[:, :, :_LONGEST].normal_(generator=noise)
    return torch.empty_like(kv[:, 0, :_LONGEST]).normal_(generator=noise)


def _trace(
    network: LlamaNetwork, watched: Tensor, rung: int, block: int, place: int, longest: int
) -> Tensor:
    """Logits [steps, V] of the watched row, decoded at `place` among others that differ with `place`, the
    longest of them `longest` positions."""
    cache = network.cache
    network.rungs, network.block = (rung,), block
    vocabulary = network.model.config.vocab_size
    most = network.context_tokens - _STEPS
    for slot in range(rung):
        cache.lengths[slot] = min((longest + 23 * (slot - rung + 1)) % (longest + 1), most)
    cache.lengths[place] = min(_LENGTH, most)
    kept = cache.kv[:, place, :_LONGEST].clone()
    cache.kv[:, place, :_LONGEST] = watched
    logits = []
    for step in range(_STEPS):
        others = [(13 * slot + place) % vocabulary for slot in range(rung)]
        ids = [(11 + step) % vocabulary if slot == place else id for slot, id in enumerate(others)]
        logits.append(network.decode(ids)[place].clone())
    cache.kv[:, place, :_LONGEST] = kept
    for slot in range(rung):
        cache.clear(slot)
    return torch.stack(logits)
