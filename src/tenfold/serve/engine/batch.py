"""The rows that run now, in the first slots of the network, and what sampling needs to know of them.

Rows stay packed: when one leaves, the last takes its slot, so that a step reads caches in place. What
differs by row (temperature, seed, ...) lies in tensors, so that a step has no Python loop over rows before
the sampled tokens are out.
"""

from __future__ import annotations

import torch

from tenfold.serve.engine.network import Network
from tenfold.serve.engine.row import Row
from tenfold.serve.engine.sampler import sample


class Batch:
    def __init__(self, network: Network) -> None:
        self.rows: list[Row] = []
        self._network = network
        slots = network.num_slots
        self._temperature = torch.zeros(slots)
        self._top_p = torch.ones(slots)
        self._seed = torch.zeros(slots, dtype=torch.int64)
        self._step = torch.zeros(slots, dtype=torch.int64)
        self._per_row = (self._temperature, self._top_p, self._seed, self._step)

    @property
    def full(self) -> bool:
        return len(self.rows) == self._network.num_slots

    def add(self, row: Row) -> int:
        """Read the row's prompt into the next slot and draw its first token."""
        slot = len(self.rows)
        logits_V = self._network.prefill(slot, row.prompt)
        request = row.request
        self._temperature[slot] = request.temperature
        self._top_p[slot] = request.top_p
        self._seed[slot] = request.seed or 0
        self._step[slot] = 0
        self.rows.append(row)
        return self._draw(logits_V.unsqueeze(0), slot, slot + 1)[0]

    def step(self) -> list[int]:
        """One more token for every row."""
        num_rows = len(self.rows)
        logits_RV = self._network.decode([row.last_token for row in self.rows])
        return self._draw(logits_RV, 0, num_rows)

    def remove(self, row: Row) -> None:
        """Free the row's slot; the last row takes it."""
        slot, last = self.rows.index(row), len(self.rows) - 1
        if slot == last:
            self._network.free(slot)
        else:
            self._network.move(last, slot)
            self.rows[slot] = self.rows[last]
            for values in self._per_row:
                values[slot] = values[last]
        self.rows.pop()

    def _draw(self, logits_RV: torch.Tensor, first: int, last: int) -> list[int]:
        temperature, top_p, seed, step = (values[first:last] for values in self._per_row)
        ids = sample(logits_RV, temperature, top_p, seed, step).tolist()
        step += 1
        return ids
