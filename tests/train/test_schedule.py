from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.train.schedule import warmup_cosine


@given(steps=st.integers(1, 300), warmup=st.integers(0, 400), floor=st.floats(0, 0.5))
def test_it_rises_to_the_peak_then_falls_to_the_floor(steps, warmup, floor):
    share = warmup_cosine(steps, warmup=warmup, floor=floor)
    values = [share(step) for step in range(steps)]
    top = min(warmup, steps)
    assert all(0 <= value <= 1 for value in values)
    assert values[:top] == sorted(values[:top])
    assert values[top:] == sorted(values[top:], reverse=True)
    if top:
        assert values[top - 1] == 1
    if top < steps:
        assert values[-1] == pytest.approx(floor)


def test_half_way_down_it_is_half_way_between():
    share = warmup_cosine(101, warmup=1, floor=0.2)
    assert share(50) == pytest.approx(0.6)
