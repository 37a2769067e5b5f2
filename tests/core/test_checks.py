"""Rules over metrics."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.checks import Check, judge
from tenfold.errors import ConfigError

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(finite, finite, finite)
def test_green_exactly_between_the_bounds(value: float, low: float, high: float) -> None:
    state = judge(Check(metric="m", min=low, max=high), value).state
    assert (state == "green") == (low <= value <= high)


@given(finite, finite, st.floats(0, 1e6))
def test_comparisons_with_what_is_promoted(value: float, baseline: float, by: float) -> None:
    below = judge(Check(metric="m", not_below="m@c", by=by), value, baseline)
    assert (below.state == "green") == (value >= baseline - by)
    above = judge(Check(metric="m", not_above="m@c", by=by), value, baseline)
    assert (above.state == "green") == (value <= baseline + by)


def test_without_a_champion_a_comparison_holds() -> None:
    assert judge(Check(metric="m", not_below="m@c"), 1.0).state == "green"
    assert judge(Check(metric="m", not_below="m@c"), 1.0, math.nan).state == "green"


def test_unknown_is_not_green() -> None:
    found = judge(Check(metric="m", min=0), None)
    assert found.state == "unknown"
    assert "'m'" in found.reason


@pytest.mark.parametrize("check", [Check(metric="m", min=0), Check(metric="m", max=0)])
def test_not_a_number_is_red_whatever_the_bound(check: Check) -> None:
    assert judge(check, math.nan).state == "red"


def test_a_verdict_says_every_bound_that_broke() -> None:
    check = Check(metric="loss", max=2, not_above="m@c", by=0.5)
    assert check.rule == "loss <= 2 and loss <= m@c + 0.5"
    found = judge(check, 3.0, 1.0)
    assert found.reason == "loss = 3 is above 2 and above m@c (1) by more than 0.5"


def test_rules_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="no bound"):
        Check(metric="m")
    with pytest.raises(ConfigError, match="blocks"):
        Check(metric="m", min=0, blocks="everything")
    with pytest.raises(ConfigError, match="by must be"):
        Check(metric="m", not_below="m@c", by=-1)
