"""The figure of `gateway_budget`: by how many reservations four workers overshoot a budget, per store."""

from __future__ import annotations

import shutil

import gateway_budget
from gateway_stage import Stage
from harness import Figure, Figures, spread

LEASES = (1 / 8, 0.0)
"""Rounds with leases, larger than the gateway takes them, and rounds in which each request asks for itself."""


def measure(stage: Stage, quick: bool) -> Figures:
    rounds, kills = (1, 4) if quick else (5, 20)
    for store, name in (("embedded", ""), ("redis", ".redis")):
        key = f"budget_overshoot_reservations{name}"
        if store == "redis" and shutil.which("redis-server") is None:
            yield (
                key,
                Figure(value=None, unit="", method="not measured: apt-get install redis-server"),
            )
            continue
        with stage.alone():
            spent = [
                gateway_budget.budget_overshoot_reservations(
                    store, kills=kills, seed=seed, lease_share=LEASES[seed % 2]
                )
                for seed in range(rounds)
            ]
        requests = sum(one.num_settled + one.num_abandoned for one in spent)
        died = sum(one.num_kills for one in spent)
        yield key, spread(
            [one.overshoot_reservations for one in spent], "reservations",
            f"what {gateway_budget.NUM_WORKERS} workers spent beyond the budget they share, in largest reservations, the "
            f"worst of {rounds} rounds: {requests} requests of random size on the {store} store, {died} kills with "
            f"SIGKILL on the way, every second round without leases, the books checked against the workers' own notes", take=max,
        )  # fmt: skip
