"""Figures as people read them, and curves in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.cli.output import MARKS, STYLES, ago, duration, figure, quantity, size, sparkline


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (size(999), "999 B"),
        (size(1_234_567), "1.2 MB"),
        (duration(0.04), "0.0 s"),
        (duration(59.94), "59.9 s"),
        (duration(119.6), "2 min 00 s"),
        (duration(3_725), "1 h 02 min"),
        (figure(1234567.0), "1,234,567"),
        (figure(0.000123), "0.000123"),
        (figure(2.345678), "2.346"),
        (quantity(0.123, "share"), "12.3%"),
        (quantity(12.5, "requests/s"), "12.5 requests/s"),
        (quantity(0.0000123, "USD"), "$1.23e-05"),
        (ago(30), "30 s ago"),
        (ago(7200), "2 h ago"),
    ],
)
def test_units(text, said):
    assert text == said


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 80))
def test_a_sparkline_is_as_wide_as_it_may_be_and_reaches_both_ends(values, width):
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    if len(values) <= width and max(values) > min(values):
        assert line[values.index(max(values))] == "█"
        assert line[values.index(min(values))] == "▁"


def test_every_coloured_status_has_a_mark_too():
    assert set(STYLES) == set(MARKS)
