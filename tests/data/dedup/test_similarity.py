"""Similarity against people's judgement, against all pairs, and with an encoder in its place."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from tenfold.data.dedup import similarity
from tenfold.data.dedup.ladder import Ladder, duplicates
from tenfold.data.dedup.similarity import Similar, character_counts, similar_pairs, tfidf
from tenfold.data.dedup.texts import texts_of
from tenfold.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def sentences(shared):
    with (shared / "neardup" / "stsb-en-test.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows], [row[1] for row in rows], [float(row[2]) for row in rows]


def test_sentences_are_ordered_as_people_order_them(sentences):
    """STS-B test. Character TF-IDF of scikit-learn reaches .69 to .70 there."""
    left, right, score = sentences
    rows = tfidf(character_counts(texts_of(pa.array(left + right)), Similar()))
    cosine = np.asarray(rows[: len(left)].multiply(rows[len(left) :]).sum(1)).ravel()
    assert spearmanr(cosine, score)[0] > 0.68


def test_cosines_are_those_of_scikit_learn(sentences):
    """Where few n-grams share a bucket, the weights are the same."""
    texts = [" ".join(text.lower().split()) for text in sentences[0][:300]]
    peer = TfidfVectorizer(analyzer="char", ngram_range=(3, 5), sublinear_tf=True)
    theirs = peer.fit_transform([f" {text} " for text in texts])
    ours = tfidf(character_counts(texts_of(pa.array(texts)), Similar(width=1 << 24)))
    error = np.abs((theirs @ theirs.T - ours @ ours.T).toarray())
    assert error.max() < 0.02
    assert np.quantile(error, 0.95) < 1e-5


def test_no_pair_of_all_pairs_is_missed(sentences):
    texts = texts_of(pa.array(sentences[0] + sentences[1] + ["", "?", "a"]))
    for threshold in (0.9, 0.6):
        config = Similar(threshold=threshold)
        rows = tfidf(character_counts(texts, config))
        every = (rows @ rows.T).tocoo()
        sure = (every.row < every.col) & (every.data >= threshold + 1e-5)
        expected = set(zip(every.row[sure].tolist(), every.col[sure].tolist(), strict=True))
        left, right, cosine = similar_pairs(texts, config)
        found = set(zip(left.tolist(), right.tolist(), strict=True))
        assert expected <= found
        assert len(found) - len(expected) < 3
        assert ((cosine >= threshold) & (cosine <= 1)).all()


@pytest.mark.parametrize("exact_rows", [10_000, 0])
def test_an_encoder_stands_in_for_the_ngrams(monkeypatch, exact_rows):
    """All pairs, or by usearch: what is found is the same where neighbours are few."""
    monkeypatch.setattr(similarity, "EXACT_ROWS", exact_rows)
    random = np.random.default_rng(4)
    centres = random.normal(size=(100, 32))
    vectors = np.repeat(centres, 3, 0) + 0.02 * random.normal(size=(300, 32))
    vectors[7] = 0  # of no length: similar to nothing
    order = random.permutation(300)
    records = pa.table(
        {
            "id": [f"{at:04}" for at in range(300)],
            "authority": pa.array(np.ones(300), pa.float32()),
            "time": pa.nulls(300, pa.timestamp("us", tz="UTC")),
            "text": [f"{at}" for at in range(300)],
        }
    ).take(order)
    asked = []

    def encode(column):
        asked.append(len(column))
        return vectors[[int(text) for text in column.to_pylist()]]

    found = duplicates(records, Ladder(near=None, similar=Similar(threshold=0.95)), encoder=encode)
    assert asked == [300]
    assert found.cause.to_pylist().count("dedup.similar") == 199
    for row, twin in enumerate(found.twin.tolist()):
        assert order[row] // 3 == order[twin] // 3
        assert found.cluster[row] // 300 == 0


def test_vectors_must_fit_and_settings_must_make_sense():
    texts = texts_of(pa.array(["a", "b"]))
    for wrong in (np.zeros((1, 3)), np.zeros(2), np.full((2, 3), np.nan)):
        with pytest.raises(InputError, match="vector"):
            similar_pairs(texts, Similar(), wrong)
    for settings in ({"threshold": 0}, {"shortest": 6}, {"longest": 9}, {"width": 1000}):
        with pytest.raises(ConfigError):
            Similar(**settings)
