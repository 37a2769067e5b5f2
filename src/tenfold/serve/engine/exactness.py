"""Finds the shapes in which a row's logits do not depend on its neighbours, by trying them.

Runs once when an engine starts, on the real weights, in some dozens of decode steps. It knows the network
and nothing of requests. A trial cannot prove equality for all inputs; but the order of additions is a
property of shape and place, not of values, and a step compares thousands of sums in every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.models.cache import BLOCK
from tenfold.serve.engine.network import LlamaNetwork

SMALLEST_RUNG = 4
"""Below four rows BLAS libraries switch to matrix-vector kernels."""
_STEPS = 3


def settle(network: LlamaNetwork) -> None:
    """Set `rungs`, `block` and `exact` of a network whose slots are empty, and leave them empty."""
    slots, width = network.num_slots, network.cache.width
    reference = _trace(network, (slots,), width, place=0)
    network.exact = slots == 1 or all(
        torch.equal(reference, _trace(network, (slots,), width, place=place))
        for place in {1, slots // 2, slots - 1}
    )
    block, rungs = width, (slots,)
    if network.exact:
        for candidate in (BLOCK, 2 * BLOCK, 4 * BLOCK):
            if candidate < width and _same(network, reference, (slots,), candidate):
                block = candidate
                break
        rungs = tuple(
            rung
            for rung in (*_ladder(slots), slots)
            if rung == slots or _same(network, reference, (rung,), block)
        )
    network.rungs, network.block = rungs, block


def _ladder(slots: int) -> list[int]:
    rungs = []
    rung = SMALLEST_RUNG
    while rung < slots:
        rungs.append(rung)
        rung *= 2
    return rungs


def _same(network: LlamaNetwork, reference: Tensor, rungs: tuple[int, ...], block: int) -> bool:
    return all(
        torch.equal(reference, _trace(network, rungs, block, place=place))
        for place in {0, 1, rungs[0] - 1}
    )


def _trace(network: LlamaNetwork, rungs: tuple[int, ...], block: int, place: int) -> Tensor:
    """Logits [steps, V] of one fixed sequence, decoded at `place` among others that differ by place."""
    network.rungs, network.block = rungs, block
    num_rows = rungs[0]
    vocabulary = network.model.config.vocab_size
    room = network.context_tokens - _STEPS
    for slot in range(num_rows):
        probe = slot == place
        length = min(37 if probe else 5 + (23 * (slot + place)) % 120, room)
        start = 0 if probe else 7 * (slot + 1)
        network.prefill(slot, [(start + 31 * i) % vocabulary for i in range(max(length, 1))])
    steps = []
    for step in range(_STEPS):
        ids = [
            (11 + step if slot == place else 13 * slot + place) % vocabulary
            for slot in range(num_rows)
        ]
        steps.append(network.decode(ids)[place].clone())
    for slot in range(num_rows):
        network.free(slot)
    return torch.stack(steps)
