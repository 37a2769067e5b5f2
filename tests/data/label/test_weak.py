"""Weak supervision: accuracies that were planted come back, and the model beats the majority's vote."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.data.label.weak import label_model, majority, votes
from tenfold.errors import InputError

ACCURACY = np.array([0.95, 0.8, 0.7, 0.65, 0.6, 0.55])
COVERAGE = np.array([0.5, 0.9, 0.8, 0.9, 0.9, 0.9])


def planted(classes, prior, items=6000, seed=0):
    draw = np.random.default_rng(seed)
    truth = draw.choice(classes, items, p=prior)
    cast = np.full((items, len(ACCURACY)), -1)
    for j, (accuracy, coverage) in enumerate(zip(ACCURACY, COVERAGE, strict=True)):
        other = (truth + draw.integers(1, classes, items)) % classes
        said = np.where(draw.random(items) < accuracy, truth, other)
        cast[:, j] = np.where(draw.random(items) < coverage, said, -1)
    return truth, cast


@pytest.mark.parametrize(
    ("classes", "prior"), [(2, (0.5, 0.5)), (2, (0.7, 0.3)), (4, (0.4, 0.3, 0.2, 0.1))]
)
def test_planted_accuracies_come_back(classes, prior):
    truth, cast = planted(classes, prior)
    found = label_model(cast, classes)
    # Sampling error of a share over some 3,000 to 5,400 votes is below .01, and as much again for not
    # knowing the truth.
    assert found.accuracy == pytest.approx(ACCURACY, abs=0.035)
    assert found.coverage == pytest.approx(COVERAGE, abs=0.02)
    assert found.prior == pytest.approx(prior, abs=0.04)
    voted = (cast >= 0).any(1)
    ours = (found.probabilities.argmax(1) == truth)[voted].mean()
    theirs = (majority(cast, classes).argmax(1) == truth)[voted].mean()
    assert ours > theirs + 0.01


def test_probabilities_mean_what_they_say():
    truth, cast = planted(2, (0.5, 0.5))
    sure = label_model(cast, 2).probabilities[:, 1]
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (sure >= low) & (sure < low + 0.2)
        assert truth[inside].mean() == pytest.approx(sure[inside].mean(), abs=0.06)


def test_silence_is_the_prior():
    cast = np.array([[0, 0], [1, 1], [1, 1], [-1, -1]])
    found = label_model(cast, 2)
    assert found.probabilities[3] == pytest.approx(found.prior)
    assert majority(cast, 2)[3].tolist() == [0.5, 0.5]
    mute = label_model(np.array([[0, -1], [1, -1]]), 2)
    assert np.isnan(mute.accuracy[1])
    assert mute.coverage.tolist() == [1, 0]


def test_functions_vote_or_hold_their_tongue():
    functions = [
        lambda text: 1 if "refund" in text else None,
        lambda text: 0 if "thank" in text else None,
    ]
    cast = votes(functions, ["thank you", "a refund, thanks", "hello"])
    assert cast.tolist() == [[-1, 0], [1, 0], [-1, -1]]


@pytest.mark.parametrize("cast", [np.array([[2]]), np.array([[-2]]), np.array([0, 1])])
def test_what_is_no_vote_is_refused(cast):
    with pytest.raises(InputError):
        label_model(cast, 2)
