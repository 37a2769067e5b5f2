"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.console import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.00034, "0.34 ms"), (0.34, "340 ms"), (5.21, "5.2 s"), (59.97, "1 min"),
     (77, "1 min 17 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(12.3, "$12.30"), (0.0014, "$0.0014"), (3.1e-6, "3.1 µ$"), (0, "$0")]
)
def test_money(usd, text):
    assert figures.money(usd) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(6_900_000, "bytes", "6.9 MB"), (0.748, "share", "74.8 %"), (10.8, "x", "10.8×"),
     (1_228_800, "tokens", "1.23M tokens"), (640, "ms", "640 ms"), (0.004, "J", "4 mJ")],
)  # fmt: skip
def test_a_figure_speaks_the_words_of_its_unit(value, unit, text):
    assert figures.figure(value, unit) == text


@given(st.floats(min_value=1e-6, max_value=1e12), st.integers(2, 4))
def test_digits_keep_the_value(value, significant):
    text = figures.digits(value, significant).replace(",", "")
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.51 * 10 ** (1 - significant))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -3.0])
def test_odd_numbers_are_words_too(value):
    assert figures.digits(value)
    assert figures.count(None) == figures.NONE
