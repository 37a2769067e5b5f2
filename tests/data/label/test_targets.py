"""Targeted labelling: scores as the papers define them, batches without near-copies, fewer labels on real digits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import cosine_similarity

from tenfold.data.label.classifier import Classifier, text_features
from tenfold.data.label.targets import diverse, entropy, margin, vote_entropy
from tenfold.errors import InputError


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6))
def test_scores_of_probabilities(weights):
    shares = np.array([weights]) / sum(weights)
    size = shares.shape[1]
    assert entropy(shares)[0] == pytest.approx(scipy.stats.entropy(shares[0], base=size), abs=1e-9)
    first, second = sorted(shares[0])[::-1][:2]
    assert margin(shares)[0] == pytest.approx(1 - first + second)


def test_the_ends_of_the_scale():
    sure, torn = np.array([[1.0, 0.0, 0.0]]), np.full((1, 3), 1 / 3)
    assert (entropy(sure)[0], margin(sure)[0]) == (0, 0)
    assert (entropy(torn)[0], margin(torn)[0]) == (pytest.approx(1), pytest.approx(1))


def test_votes():
    votes = np.array([[0, 0, 0], [0, 1, -1], [0, 1, 1], [1, -1, -1], [-1, -1, -1]])
    two_to_one = scipy.stats.entropy([1 / 3, 2 / 3], base=2)
    assert vote_entropy(votes, 2) == pytest.approx([0, 1, two_to_one, 0, 0])


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((3, 1)), np.ones((3, 2)), np.array([[-1.0, 2.0]])])  # fmt: skip
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(InputError):
        entropy(wrong)


def test_a_batch_has_no_near_copies_and_begins_with_the_highest():
    texts = [
        "the invoice was never paid and the customer is angry",
        "the invoice was never paid and the customer is angry!",
        "the invoice was never paid and the customers are angry",
        "how do I reset the password of my account",
        "where is the nearest branch",
    ]
    vectors = text_features(texts)
    scores = np.array([0.9, 1.0, 0.95, 0.2, 0.5])
    chosen = diverse(scores, vectors, 5, max_similarity=0.6)
    assert chosen.tolist() == [1, 4, 3]
    near = cosine_similarity(vectors[chosen])
    np.fill_diagonal(near, 0)
    assert near.max() <= 0.6
    assert diverse(scores, vectors, 2, max_similarity=1.0).tolist() == [1, 2]


def test_fewer_labels_do_on_real_digits():
    """1,797 scanned digits (UCI, with scikit-learn): margins against chance, paired over the same beginnings."""
    pixels, truth = load_digits(return_X_y=True)
    pixels = pixels / 16
    won = []
    for seed in range(6):
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(truth))
        pool, test = order[:1200], order[1200:]

        def accuracy(targeted, pool=pool, test=test, draw=draw):
            known = list(pool[:30])
            for _ in range(6):
                model = Classifier(10).fit(pixels[known], truth[known])
                rest = np.setdiff1d(pool, known)
                scores = (
                    margin(model.probabilities(pixels[rest]))
                    if targeted
                    else draw.random(len(rest))
                )
                known += rest[diverse(scores, pixels[rest], 30, 0.98)].tolist()
            model = Classifier(10).fit(pixels[known], truth[known])
            return (model.probabilities(pixels[test]).argmax(1) == truth[test]).mean()

        won.append(accuracy(True) - accuracy(False))
    assert min(won) > 0, won  # six of six: 1 in 64 by chance
    assert np.mean(won) > 0.01
