"""Learned quality tells prose from reference pages it has not seen, and is the same every time."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from tenfold.data.text.learned import Learned, train
from tenfold.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def halves(documents):
    texts = documents(60)
    good, poor = texts[:29], texts[-60:]  # novels, raw pages
    split = lambda part: (part[::2], part[1::2])  # noqa: E731
    return split(good), split(poor)


def test_unseen_texts_are_told_apart(halves):
    (good, unseen_good), (poor, unseen_poor) = halves
    learned = train(pa.array(good), pa.array(poor))
    texts = [*unseen_good, *unseen_poor]
    out = learned(pa.record_batch({"text": texts, "drop": pa.nulls(len(texts), pa.string())}))
    scores = np.array(out["learned.score"].to_pylist())
    better = scores[: len(unseen_good), None] > scores[None, len(unseen_good) :]
    assert better.mean() > 0.97  # the area under the curve


def test_the_same_records_make_the_same_weights(halves):
    (good, _), (poor, _) = halves
    one, two = (train(pa.array(good), pa.array(poor), passes=2) for _ in range(2))
    assert one == two
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_limit_drops_by_its_cause(halves):
    (good, _), (poor, _) = halves
    learned = train(pa.array(good), pa.array(poor), min_score=0.5)
    rows = pa.record_batch(
        {"text": [good[0], poor[0], poor[0]], "drop": [None, None, "rules.empty"]}
    )
    assert learned(rows)["drop"].to_pylist() == [None, "learned.poor", "rules.empty"]


def test_empty_sets_and_strange_weights_are_refused():
    with pytest.raises(InputError, match="good and poor"):
        train(pa.array(["x"]), pa.array([], type=pa.string()))
    with pytest.raises(ConfigError, match="weights"):
        Learned(weights="abc")
