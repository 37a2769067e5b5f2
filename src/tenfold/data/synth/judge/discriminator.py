"""Can boosted trees tell two tables apart? Cross-validated AUC with its interval.

0.5: they cannot. A logistic judge passes bad tables (SDMetrics' default), boosted trees do not. Knows
arrays of features; which table is which, the caller knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Auc:
    value: float
    low: float
    high: float
    """95 % interval (DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988)."""


def separability(
    a: np.ndarray, b: np.ndarray, category: np.ndarray, *, seed: int = 0, folds: int = FOLDS
) -> Auc:
    """How well rows of `a` and `b` (n, features) are told apart out of fold; the larger one is cut."""
    size = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    rows = np.concatenate([part[np.sort(rng.permutation(len(part))[:size])] for part in (a, b)])
    labels = np.repeat([0, 1], size)
    scores = np.zeros(len(rows))
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels)
    aucs = []
    for train, test in splits:
        scores[test] = boosted(rows[train], labels[train], category, seed).predict_proba(
            rows[test]
        )[:, 1]
        aucs.append((test, auc(scores[test], labels[test])))
    # Scores of two models have no common scale: AUCs of folds are averaged, and so are their variances.
    value = float(np.mean([found for _, found in aucs]))
    variance = float(np.mean([delong_variance(scores[t], labels[t]) for t, _ in aucs])) / folds
    reach = float(norm.ppf(0.975)) * variance**0.5
    return Auc(value, max(0.0, value - reach), min(1.0, value + reach))


def boosted(
    rows: np.ndarray, labels: np.ndarray, category: np.ndarray, seed: int
) -> HistGradientBoostingClassifier:
    """A fitted classifier, on one core so that the bytes do not depend on the machine."""
    model = HistGradientBoostingClassifier(
        categorical_features=category, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):
        return model.fit(rows, labels)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: Mann-Whitney's statistic, ties counted half."""
    ones = labels == 1
    ranks = rankdata(scores)
    count = int(ones.sum())
    pairs = count * (len(labels) - count)
    return float((ranks[ones].sum() - count * (count + 1) / 2) / pairs)


def delong_variance(scores: np.ndarray, labels: np.ndarray) -> float:
    """The variance of `auc`, from the placements of each score among the other class."""
    ones = labels == 1
    whole = rankdata(scores)
    high, low = rankdata(scores[ones]), rankdata(scores[~ones])
    count, others = len(high), len(low)
    placed = (whole[ones] - high) / others
    below = 1 - (whole[~ones] - low) / count
    return float(placed.var(ddof=1) / count + below.var(ddof=1) / others)
