"""Agreement against published worked examples, scikit-learn, and what chance is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from tenfold.data.label.agreement import (
    cohen_kappa,
    estimate,
    fleiss_kappa,
    krippendorff_alpha,
    percent,
)
from tenfold.errors import InputError

_ = np.nan
KRIPPENDORFF = np.array(
    [[1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
     [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
     [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
     [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _]]
).T  # fmt: skip
"""Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units."""
FLEISS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip
"""The worked example of Wikipedia's "Fleiss' kappa": 14 raters, ten subjects, five categories; kappa 0.210."""


@pytest.mark.parametrize(
    ("level", "printed"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_as_krippendorff_computes_it(level, printed):
    assert krippendorff_alpha(KRIPPENDORFF, level) == pytest.approx(printed, abs=0.0005)


def test_alpha_of_two_observers_as_krippendorff_computes_it():
    """The same paper, section B (nominal, two observers): alpha = 0.692."""
    one = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
    other = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
    codes = np.array([[ord(letter) for letter in one], [ord(letter) for letter in other]], float).T
    assert krippendorff_alpha(codes) == pytest.approx(0.692, abs=0.0005)


def test_fleiss_as_worked_out():
    table = np.array([np.repeat(np.arange(5), row) for row in FLEISS], float)
    assert percent(table) == pytest.approx(0.378, abs=0.0005)
    assert fleiss_kappa(table) == pytest.approx(0.210, abs=0.0005)


def test_cohen_as_worked_out():
    """Wikipedia's "Cohen's kappa": 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; kappa 0.4."""
    one = np.repeat([1.0, 1.0, 0.0, 0.0], [20, 5, 10, 15])
    other = np.repeat([1.0, 0.0, 1.0, 0.0], [20, 5, 10, 15])
    assert cohen_kappa(one, other) == pytest.approx(0.4)


@given(arrays(np.int64, (20, 2), elements=st.integers(0, 4)), st.sampled_from([None, "linear", "quadratic"]))  # fmt: skip
def test_cohen_as_scikit_learn_has_it(ratings, weights):
    found = cohen_kappa(ratings[:, 0].astype(float), ratings[:, 1].astype(float), weights)
    if len(np.unique(ratings)) == 1:
        assert np.isnan(found)
    else:
        theirs = cohen_kappa_score(ratings[:, 0], ratings[:, 1], weights=weights)
        assert found == pytest.approx(theirs, nan_ok=True)


@given(st.permutations(range(4)), st.permutations(range(12)))
def test_who_and_in_which_order_makes_no_difference(raters, items):
    shuffled = KRIPPENDORFF[items][:, raters]
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(shuffled, level) == pytest.approx(
            krippendorff_alpha(KRIPPENDORFF, level)
        )


def test_chance_is_zero_and_certainty_is_one():
    draw = np.random.default_rng(1)
    guessed = draw.integers(0, 3, (20_000, 3)).astype(float)
    assert abs(krippendorff_alpha(guessed)) < 0.01
    assert abs(fleiss_kappa(guessed)) < 0.01
    assert abs(cohen_kappa(guessed[:, 0], guessed[:, 1])) < 0.015
    agreed = np.repeat(guessed[:50, :1], 3, axis=1)
    assert krippendorff_alpha(agreed, "interval") == fleiss_kappa(agreed) == percent(agreed) == 1


def test_nothing_to_compare_is_not_a_number():
    for statistic in (percent, fleiss_kappa, krippendorff_alpha):
        assert np.isnan(statistic(np.full((3, 2), np.nan)))
    assert np.isnan(krippendorff_alpha(np.ones((5, 2))))


def test_fleiss_refuses_missing_ratings():
    with pytest.raises(InputError, match="as many ratings"):
        fleiss_kappa(KRIPPENDORFF)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Two annotators who each err on 15 % of a fair coin: the truth is known, alpha = 2 * .745 - 1 = .49."""
    draw = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        truth = draw.integers(0, 2, (120, 1))
        rated = np.where(draw.random((120, 2)) < 0.15, 1 - truth, truth).astype(float)
        found = estimate(krippendorff_alpha, rated, repeats=200, seed=trial)
        assert found.low <= found.value <= found.high
        covered += found.low <= 0.49 <= found.high
    # 95 of 100 are wanted; fewer than 86 would happen once in 10,000 times.
    assert covered >= 86


def test_an_interval_of_nothing():
    found = estimate(percent, np.full((3, 2), np.nan))
    assert found.items == 0
    assert np.isnan([found.value, found.low, found.high]).all()
