import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenfold.errors import UsageError
from tenfold.observe.attribution import apportion

joules = st.integers(0, 2**50).map(lambda steps: steps / 2**20)
"""What a meter's window can be: whole steps of 2^-20 J, up to a gigajoule."""
weight_lists = st.lists(st.floats(0, 1e9, allow_subnormal=True), min_size=1, max_size=40)


@example(8388607 / 2**20, 0.4425414174063488, [1.0, 3.1648248187111148e-217])
@given(joules, st.floats(0, 1), weight_lists)
def test_shares_and_idle_are_the_total_to_the_last_bit(total, idle_part, weights):
    idle = total * idle_part
    shares = apportion(total, idle, weights)
    assert math.fsum([*shares, idle]) == total
    assert all(share >= 0 for share in shares)


@given(st.floats(0, 1e300), st.floats(0, 1), weight_lists)
def test_any_total_is_met_within_its_last_bit(total, idle_part, weights):
    idle = total * idle_part
    assert abs(math.fsum([*apportion(total, idle, weights), idle]) - total) <= math.ulp(total)


@given(joules.filter(lambda total: total > 1), st.lists(st.floats(0.001, 1e3), min_size=2))
def test_shares_are_proportional_to_weights(total, weights):
    shares = apportion(total, total / 4, weights)
    for share, weight in zip(shares, weights, strict=True):
        expected = (total - total / 4) * weight / math.fsum(weights)
        assert share == pytest.approx(expected, rel=1e-9)


@given(joules, st.floats(0, 1), weight_lists)
def test_who_does_nothing_pays_nothing_beside_one_who_works(total, idle_part, weights):
    shares = apportion(total, total * idle_part, [*weights, 1.0, 0.0])
    assert shares[-1] == 0.0


def test_without_weights_the_work_is_shared_equally_and_without_requests_not_at_all():
    assert apportion(10.0, 4.0, [0.0, 0.0, 0.0]) == [2.0, 2.0, 2.0]
    assert apportion(10.0, 4.0, []) == []


@pytest.mark.parametrize(
    ("total", "idle", "weights"),
    [
        (1.0, 2.0, [1.0]),
        (-1.0, 0.0, [1.0]),
        (math.nan, 0.0, [1.0]),
        (math.inf, 0.0, [1.0]),
        (1.0, -0.5, [1.0]),
        (1.0, 0.0, [-1.0]),
        (1.0, 0.0, [math.nan]),
    ],
)
def test_nonsense_is_refused(total, idle, weights):
    with pytest.raises(UsageError):
        apportion(total, idle, weights)
