from __future__ import annotations

import json

import numpy as np
import pytest

from tenfold.core.asset import Table
from tenfold.data.synth.judging import judge
from tenfold.data.synth.split import held_out
from tenfold.data.synth.synthesise import synthesise
from tenfold.data.tables.arrow import to_rows
from tenfold.errors import CheckFailed, InputError


@pytest.fixture
def real(adult, commit) -> Table:
    return commit(Table.write(to_rows(adult.slice(0, 2000))), "real")


def test_a_table_is_made_and_judged(run, ctx, real):
    made = run(synthesise, real)
    assert made.count == 2000 - held_out(2000, 0.25).sum()
    assert made.meta["of"] == real.digest
    report = run(judge, real, made, target="income", report_only=True)
    assert report.content["copies"] <= report.content["holdout_copies"] + 0.001
    assert report.content["efficacy"]["target"] == "income"
    assert ctx.metrics["admitted"] in (0.0, 1.0)


def test_a_refused_table_fails_the_step(run, real):
    made = run(synthesise, real, method="copula")
    with pytest.raises(CheckFailed, match="a discriminator tells it from real rows"):
        run(judge, real, made, target="income")


def test_a_table_of_unknown_origin_is_not_judged(run, real):
    with pytest.raises(InputError, match="not made from this real one"):
        run(judge, real, real)


def test_the_hold_out_is_the_same_for_both_steps_and_about_its_share():
    assert held_out(10_000, 0.25).mean() == pytest.approx(0.25, abs=0.02)
    assert np.array_equal(held_out(1000, 0.3), held_out(2000, 0.3)[:1000])


def test_privacy_is_said_in_the_table(run, commit):
    rows = [{"a": "xy"[k % 2], "n": k % 10} for k in range(200)]
    real = commit(Table.write(rows))
    domains = {"a": ["x", "y"], "n": list(range(11))}
    made = run(synthesise, real, method="private", private={"epsilon": 2.0, "domains": domains})
    assert made.meta["epsilon"] == 2.0
    assert {row["a"] for row in made.rows()} <= {"x", "y", None}
    assert json.dumps(dict(made.meta))
