from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tenfold.data.synth import constraints, copies, frame, trees
from tenfold.data.synth.judge import discriminator, features
from tenfold.errors import InputError, UnknownName

ROWS = 1500


def test_rows_are_near_the_law_and_nobodys_own(kind):
    train, holdout = kind(ROWS, 1), kind(ROWS, 2)
    made = trees.fit(train, seed=3).sample(ROWS, 4)
    assert made.schema == train.schema
    known = frame.row_keys(train)
    copied = copies.is_copy(frame.row_keys(made), known).mean()
    by_chance = copies.is_copy(frame.row_keys(holdout), known).mean()
    assert copied <= by_chance + 2 * (by_chance / ROWS) ** 0.5 + 0.03
    (a, b, c), category = features.design(train, [holdout, made, train])
    floor = discriminator.separability(a, c, category, folds=3)
    assert discriminator.separability(a, b, category, folds=3).value < max(0.5, floor.value) + 0.1


def test_constraints_hold_by_construction(kind):
    train = kind(ROWS, 1)
    rules = constraints.find(train, frame.columns(train))
    made = trees.fit(train, seed=3).sample(ROWS, 4)
    assert {str(rule): int(rule.broken(made).sum()) for rule in rules} == {
        str(rule): 0 for rule in rules
    }


def test_missing_values_come_as_often_and_where_they_came(kind):
    train = kind(ROWS, 1)
    made = trees.fit(train, seed=3).sample(ROWS, 4)
    for name in train.column_names:
        real, ours = train.column(name).null_count / ROWS, made.column(name).null_count / ROWS
        assert abs(real - ours) < 4 * (real * (1 - real) / ROWS) ** 0.5 + 1e-9, name


def test_a_law_between_missing_values_is_kept(adult):
    """In Adult, who has no workclass has no occupation."""
    made = trees.fit(adult.slice(0, 4000), seed=1).sample(4000, 2)
    unknown = np.array([value is None for value in made.column("workclass").to_pylist()])
    idle = np.array([value is None for value in made.column("occupation").to_pylist()])
    assert unknown.sum() > 50
    assert (idle[unknown]).mean() > 0.97


def test_education_decides_its_number_in_adult(adult):
    train = adult.slice(0, 3000)
    rules = [str(rule) for rule in constraints.find(train, frame.columns(train))]
    assert "education decides education_num" in rules
    made = trees.fit(train, seed=1).sample(3000, 2)
    pairs = set(
        zip(*(made.column(n).to_pylist() for n in ("education", "education_num")), strict=True)
    )
    assert len(pairs) == len({name for name, _ in pairs})


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(kind):
    train = kind(400, 1)
    one = trees.fit(train, seed=3).sample(300, 4)
    assert one.equals(trees.fit(train, seed=3).sample(300, 4))
    assert not one.equals(trees.fit(train, seed=3).sample(300, 5))


def test_columns_may_be_ordered_by_hand(kind):
    train = kind(300, 1)
    last = train.column_names[-1]
    assert trees.fit(train, order=[last]).nodes[0].name == last
    with pytest.raises(UnknownName):
        trees.fit(train, order=["nowhere"])


def test_names_are_never_those_of_real_people():
    rng = np.random.default_rng(0)
    names = [
        f"{'ABCDEFGH'[k % 8]}{''.join(rng.choice(list('aeioudnrst'), 7))}-{k}" for k in range(300)
    ]
    made = trees.fit(pa.table({"name": names, "x": rng.random(300)})).sample(300, 1)
    assert not set(names) & set(made.column("name").to_pylist())
    assert all("-" in name for name in made.column("name").to_pylist())


def test_too_few_rows_and_nested_columns_are_refused():
    with pytest.raises(InputError, match="too few rows"):
        trees.fit(pa.table({"a": [1, 2]}))
    with pytest.raises(InputError, match="cannot be synthesised"):
        trees.fit(pa.table({"a": [[1]] * 30}))
