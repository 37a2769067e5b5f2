from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from tenfold.data.synth import trees
from tenfold.data.synth.judge import discriminator
from tenfold.data.synth.judge.thresholds import Thresholds
from tenfold.data.synth.judge.verdict import admit
from tenfold.errors import InputError

ROWS = 1000


@pytest.fixture(scope="module")
def parts(adult) -> tuple[pa.Table, pa.Table]:
    return adult.slice(0, ROWS), adult.slice(ROWS, ROWS)


def test_a_copying_generator_is_refused_although_nobody_tells_it_from_real_rows(parts):
    train, holdout = parts
    drawn = np.random.default_rng(1).permutation(ROWS)
    verdict = admit(train, holdout, train.take(drawn), target="income")
    assert verdict.auc.value < 0.55
    assert not verdict.admitted
    assert any("copies training rows" in reason for reason in verdict.reasons)


def test_a_copier_that_blurs_one_number_is_refused_by_distance(parts):
    train, holdout = parts
    place = train.column_names.index("fnlwgt")
    blurred = pa.array(train.column("fnlwgt").to_numpy() + 1)
    verdict = admit(train, holdout, train.set_column(place, "fnlwgt", blurred), target="income")
    assert verdict.copies <= verdict.holdout_copies + 0.001
    assert any("nearer to training rows" in reason for reason in verdict.reasons)


def test_shuffled_columns_are_refused(parts):
    train, holdout = parts
    rng = np.random.default_rng(1)
    shuffled = pa.table(
        {name: train.column(name).take(rng.permutation(ROWS)) for name in train.column_names}
    )
    verdict = admit(train, holdout, shuffled, target="income")
    assert verdict.auc.value > 0.9  # the facts have .987 at 10,000 rows
    assert any("a discriminator tells" in reason for reason in verdict.reasons)
    assert any("models of income" in reason for reason in verdict.reasons)
    assert any("education decides" in reason for reason in verdict.reasons)


def test_fresh_real_rows_are_admitted(adult, parts):
    verdict = admit(*parts, adult.slice(2 * ROWS, ROWS), target="income")
    assert verdict.admitted, verdict.reasons


def test_trees_are_admitted_on_adult_and_learn_what_real_rows_teach(parts):
    train, holdout = parts
    verdict = admit(train, holdout, trees.fit(train, seed=1).sample(ROWS, 2), target="income")
    assert verdict.copies <= 0.0005 + verdict.holdout_copies
    assert verdict.efficacy is not None
    assert verdict.efficacy.ratio > 0.95
    assert verdict.auc.value < 0.6
    assert 0.3 < verdict.distances.nearer < 0.6


def test_a_category_that_nobody_has_is_named(parts):
    train, holdout = parts
    place = train.column_names.index("race")
    strange = pa.array(["Martian"] * 20 + train.column("race").to_pylist()[20:])
    verdict = admit(train, holdout, train.set_column(place, "race", strange), target="income")
    assert verdict.unknown["race"] == 0.02


def test_too_few_rows_prove_nothing(parts):
    train, holdout = parts
    with pytest.raises(InputError, match="too few rows"):
        admit(train, holdout, train.slice(0, 20))
    strict = dataclasses.replace(Thresholds(), auc_reach=0.01)
    verdict = admit(train, holdout.slice(0, 300), holdout.slice(300, 300), strict)
    assert any("too few rows for a judgement" in reason for reason in verdict.reasons)


def test_other_columns_are_an_error(parts):
    with pytest.raises(InputError, match="other columns"):
        admit(parts[0], parts[1], parts[0].drop_columns(["age"]))


def test_auc_is_scikit_learns_and_its_interval_that_of_a_bootstrap():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [150, 250])
    scores = np.round(rng.standard_normal(400) + 0.7 * labels, 1)
    assert discriminator.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    again = []
    for _ in range(600):
        drawn = np.concatenate([rng.integers(0, 150, 150), rng.integers(150, 400, 250)])
        again.append(roc_auc_score(labels[drawn], scores[drawn]))
    assert discriminator.delong_variance(scores, labels) ** 0.5 == pytest.approx(
        np.std(again), rel=0.15
    )
