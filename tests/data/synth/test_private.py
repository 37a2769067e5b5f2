from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from tenfold.data.synth import private
from tenfold.errors import ConfigError, InputError

DOMAINS = {
    "a": private.Domain(categories=("x", "y", "z")),
    "b": private.Domain(categories=("x", "y", "z")),
    "n": private.evenly(0, 99, 20),
}


def table(rows: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    a = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    b = np.where(rng.random(rows) < 0.9, a, rng.integers(0, 3, rows))
    return pa.table({
        "a": ["xyz"[k] for k in a], "b": ["xyz"[k] for k in b],
        "n": np.clip(np.rint(20 + 25 * a + 5 * rng.standard_normal(rows)), 0, 99).astype(int),
    })  # fmt: skip


def test_the_accountant_is_that_of_bun_and_steinke():
    for epsilon, delta in ((0.1, 1e-9), (1.0, 1e-6), (8.0, 1e-5)):
        rho = private.rho_of(epsilon, delta)
        assert rho + 2 * np.sqrt(rho * np.log(1 / delta)) == pytest.approx(epsilon)
        # The Gaussian mechanism of that rho is within (epsilon, delta) by its exact curve
        # (Balle and Wang, ICML 2018, theorem 8): an accountant of others.
        sigma = (1 / (2 * rho)) ** 0.5
        exact = norm.cdf(0.5 / sigma - epsilon * sigma) - np.exp(epsilon) * norm.cdf(
            -0.5 / sigma - epsilon * sigma
        )
        assert exact <= delta


def test_much_privacy_budget_gives_the_law_back():
    train = table(20_000)
    made = private.fit(train, DOMAINS, epsilon=20, delta=1e-6, seed=1).sample(20_000, 2)
    assert made.schema == train.schema
    for name in ("a", "b"):
        for value in "xyz":
            real = np.mean(np.array(train.column(name).to_pylist()) == value)
            ours = np.mean(np.array(made.column(name).to_pylist()) == value)
            assert abs(real - ours) < 0.02
    same = np.mean(np.array(made.column("a").to_pylist()) == np.array(made.column("b").to_pylist()))
    assert same == pytest.approx(0.93, abs=0.03)


def test_little_budget_hides_one_rare_row():
    """What a single odd row changes is far below the noise: its category does not come through."""
    rare = pa.concat_tables([table(2000).slice(0, 0), table(2000)])
    odd = rare.set_column(0, "a", pa.array(["w", *rare.column("a").to_pylist()[1:]]))
    wide = {**DOMAINS, "a": private.Domain(categories=("x", "y", "z", "w"))}
    means = [
        [
            float(private.fit(each, wide, epsilon=0.5, delta=1e-6, seed=seed).shares["a"][0][4])
            for seed in range(40)
        ]
        for each in (odd, rare)
    ]
    assert abs(np.mean(means[0]) - np.mean(means[1])) < 2 * np.std(means[1])


def test_domains_must_be_public():
    with pytest.raises(InputError, match="without a public domain"):
        private.fit(table(50), {"a": DOMAINS["a"]}, epsilon=1, delta=1e-6, seed=1)
    with pytest.raises(ConfigError):
        private.Domain()
    with pytest.raises(ConfigError):
        private.rho_of(0, 1e-6)


def test_projection_is_the_nearest_point():
    counts = np.array([5.0, -3.0, 2.0, 0.5, -0.2])
    found = private.projected(counts, 6.0)
    best = minimize(
        lambda x: ((x - counts) ** 2).sum(), np.full(5, 1.2), bounds=[(0, None)] * 5,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 6},
    )  # fmt: skip
    assert found == pytest.approx(best.x, abs=1e-4)
