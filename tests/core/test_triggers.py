"""Triggers: `due` is pure, and one cause fires once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.triggers import Trigger, TriggerFacts, due
from tenfold.errors import ConfigError

HOURLY = Trigger(rebuild=("model",), every="0 * * * *")
NEW_DATA = Trigger(rebuild=("model",), new_data_for="documents")
DRIFT = Trigger(rebuild=("model",), drift_of="quality", metric="loss", above=0.1)
RED = Trigger(rebuild=("model",), red_check_on="quality")
ALL = (HOURLY, NEW_DATA, DRIFT, RED)


def fire(now_s: float, facts: TriggerFacts) -> tuple[list[Trigger], TriggerFacts]:
    """What is due, and the facts as they are once it is remembered."""
    found = due(now_s, ALL, facts)
    return [item.trigger for item in found], replace(
        facts,
        fired_at_s={**facts.fired_at_s, **{item.trigger.id: now_s for item in found}},
        fired_on={**facts.fired_on, **{item.trigger.id: item.cause for item in found}},
    )


def test_nothing_is_due_at_the_start() -> None:
    assert due(10_000.0, ALL, TriggerFacts(started_at_s=10_000.0)) == []


def test_time_fires_once_and_is_not_made_up_for() -> None:
    facts = TriggerFacts(started_at_s=3500.0)
    assert due(3599.0, ALL, facts) == []
    fired, facts = fire(3600.0, facts)
    assert fired == [HOURLY]
    assert due(3660.0, ALL, facts) == []
    fired, facts = fire(4 * 3600.0 + 5, facts)  # three were missed; one is enough
    assert fired == [HOURLY]
    assert due(4 * 3600.0 + 6, ALL, facts) == []


def test_new_data_fires_once_per_state_of_the_world() -> None:
    facts = TriggerFacts(
        started_at_s=0, observed={"documents": "v2"}, built_from={"documents": "v1"}
    )
    fired, facts = fire(1.0, facts)
    assert fired == [NEW_DATA]
    assert due(2.0, ALL, facts) == []  # its run may have failed: not again for the same cause
    assert due(3.0, ALL, replace(facts, built_from={"documents": "v2"})) == []
    assert due(4.0, ALL, replace(facts, observed={"documents": "v3"}))[0].trigger == NEW_DATA


def test_new_data_for_what_was_never_built() -> None:
    assert due(1.0, ALL, TriggerFacts(started_at_s=0, observed={"documents": "v1"}))


def test_drift_either_way_and_anew_for_each_result() -> None:
    facts = TriggerFacts(started_at_s=0, drift={("quality", "loss"): (-0.2, "key1")})
    fired, facts = fire(1.0, facts)
    assert fired == [DRIFT]
    assert due(2.0, ALL, facts) == []
    assert due(3.0, ALL, replace(facts, drift={("quality", "loss"): (-0.2, "key2")}))
    assert due(3.0, ALL, replace(facts, drift={("quality", "loss"): (0.1, "key3")})) == []


def test_red_fires_once_per_result() -> None:
    facts = TriggerFacts(started_at_s=0, red={"quality": "key1 loss <= 2"})
    fired, facts = fire(1.0, facts)
    assert fired == [RED]
    assert due(2.0, ALL, facts) == []
    assert due(3.0, ALL, replace(facts, red={"quality": "key2 loss <= 2"}))


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_asking_changes_nothing(now_s: float, started_at_s: float) -> None:
    facts = TriggerFacts(
        started_at_s=started_at_s, observed={"documents": "v"}, red={"quality": "k"}
    )
    assert due(now_s, ALL, facts) == due(now_s, ALL, facts)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"every": "* * * * *", "red_check_on": "a"},
        {"every": "never"},
        {"drift_of": "a"},
        {"drift_of": "a", "metric": "m"},
        {"rebuild": (), "red_check_on": "a"},
    ],
)
def test_triggers_that_cannot_be(given: dict) -> None:
    with pytest.raises(ConfigError):
        Trigger(**{"rebuild": ("x",), **given})


def test_ids_tell_triggers_apart() -> None:
    assert len({trigger.id for trigger in (*ALL, replace(DRIFT, above=0.2))}) == 5
