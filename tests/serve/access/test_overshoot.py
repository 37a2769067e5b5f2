"""Four workers spend one budget, are killed while they do, and the books are right: to the last billionth
where each request asks for itself, and never in anybody's favour but the budget's where they share leases."""

from __future__ import annotations

import pytest

from gateway_budget import NUM_WORKERS, budget_overshoot_reservations


@pytest.mark.parametrize("lease_share", [0.0, 1 / 8])
@pytest.mark.parametrize("store", ["embedded", "redis"])
def test_four_workers_do_not_overshoot_and_nothing_is_booked_twice(store, lease_share, request):
    if store == "redis":
        request.getfixturevalue("redis_program")
    # Raises when the store's figures are not the sum of what the workers noted.
    spent = budget_overshoot_reservations(store, kills=12, seed=3, lease_share=lease_share)
    assert spent.num_kills >= NUM_WORKERS
    assert spent.num_settled > 150
    assert spent.num_abandoned > 0  # some died with reservations
    assert spent.overshoot_reservations == 0
    assert spent.reserved_at_most > 0.98 * spent.limit  # and there was no slack to hide behind
