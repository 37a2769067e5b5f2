from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.stats import ks_2samp, multivariate_normal, spearmanr

from tenfold.data.synth import copula


def test_rank_correlations_of_a_known_copula_come_back():
    truth = np.array([[1, 0.8, -0.5], [0.8, 1, -0.2], [-0.5, -0.2, 1]])
    scores = multivariate_normal(cov=truth, seed=1).rvs(6000)
    # Monotone marginals of three shapes leave the ranks alone.
    train = pa.table({"a": np.exp(scores[:, 0]), "b": scores[:, 1] ** 3, "c": scores[:, 2]})
    made = copula.fit(train).sample(6000, 2)
    columns = [made.column(name).to_numpy() for name in "abc"]
    expected = (
        6 / np.pi * np.arcsin(truth / 2)
    )  # Spearman's rho of a Gaussian copula (Kruskal 1958)
    assert np.abs(spearmanr(np.stack(columns, 1)).statistic - expected).max() < 0.04
    for name, ours in zip("abc", columns, strict=True):
        assert ks_2samp(train.column(name).to_numpy(), ours).pvalue > 1e-3


def test_shares_of_categories_and_missing_values_are_kept(kind):
    train = kind(3000, 1)
    made = copula.fit(train).sample(3000, 2)
    assert made.schema == train.schema
    for name in train.column_names:
        real, ours = train.column(name).null_count / 3000, made.column(name).null_count / 3000
        assert abs(real - ours) < 0.04, name
