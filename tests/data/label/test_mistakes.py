"""Label errors: noise planted into real digits is found, better than by a naive ranking."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tenfold.data.label.classifier import held_out_probabilities
from tenfold.data.label.mistakes import confident_joint, mistakes
from tenfold.errors import InputError


@pytest.fixture(scope="module")
def noisy():
    """(given labels, held-out probabilities, which are wrong) of 1,797 digits; 3 become 8, 4 become 9, and so
    on, with 20 %: asymmetric noise, as people make it."""
    pixels, truth = load_digits(return_X_y=True)
    draw = np.random.default_rng(7)
    likes = {3: 8, 4: 9, 1: 7, 5: 6}
    given = truth.copy()
    for label, other in likes.items():
        given[(truth == label) & (draw.random(len(truth)) < 0.2)] = other
    return (
        given,
        held_out_probabilities(pixels / 16, given, 10, strength=0.3),
        given != truth,
        truth,
    )


def test_planted_noise_is_found(noisy):
    given, probabilities, wrong, truth = noisy
    found = mistakes(given, probabilities)
    hit = wrong[found.index]
    recall, precision = hit.sum() / wrong.sum(), hit.mean()
    assert recall > 0.7
    assert precision > 0.75
    assert (found.suggested == truth[found.index])[hit].mean() > 0.95
    assert found.noise_share == pytest.approx(wrong.mean(), abs=0.03)


def test_it_beats_naive_searches(noisy):
    """One marks whatever the classifier contradicts; one ranks by loss, and is even told how many to take."""
    given, probabilities, wrong, _ = noisy
    found = mistakes(given, probabilities).index
    contradicted = np.flatnonzero(probabilities.argmax(1) != given)
    own = probabilities[np.arange(len(given)), given]
    costly = np.argsort(own, kind="stable")[: len(found)]

    def f1(index):
        return 2 * wrong[index].sum() / (len(index) + wrong.sum())

    assert f1(found) > f1(contradicted) + 0.05
    assert f1(found) > f1(costly) + 0.02


def test_the_surest_come_first(noisy):
    given, probabilities, wrong, _ = noisy
    index = mistakes(given, probabilities).index
    half = len(index) // 2
    assert wrong[index[:half]].mean() > wrong[index[half:]].mean()


def test_the_joint_of_a_case_done_by_hand():
    """Thresholds are the means .7 and .7. Items 0, 1, 3, 4 are confident; item 2 was given 0 and is a sure 1;
    item 5 reaches neither threshold."""
    labels = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.95, 0.95, 0.2, 0.15, 0.15, 0.6])
    probabilities = np.stack([first, 1 - first], axis=1)
    assert confident_joint(labels, probabilities).tolist() == [[2, 1], [0, 2]]
    found = mistakes(labels, probabilities)
    assert found.index.tolist() == [2]
    assert found.suggested.tolist() == [1]
    assert found.noise_share == pytest.approx(1 / 6)


def test_clean_labels_are_left_alone():
    labels = np.repeat([0, 1, 2], 20)
    probabilities = np.full((60, 3), 0.05)
    probabilities[np.arange(60), labels] = 0.9
    assert len(mistakes(labels, probabilities).index) == 0


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(InputError, match="among the classes"):
        mistakes(np.array([0, 3]), np.full((2, 2), 0.5))
    with pytest.raises(InputError, match="5 labels of every class"):
        held_out_probabilities(np.ones((6, 2)), np.array([0, 0, 0, 0, 0, 1]), 2)
