"""Train on synthetic, test on real: what a model learns from synthetic rows, as a share of what it learns
from real ones (Esteban, Hyland, Raetsch 2017). Knows features and targets, no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from threadpoolctl import threadpool_limits

from tenfold.data.synth import frame
from tenfold.data.synth.judge import discriminator, features
from tenfold.errors import UnknownName

MAX_CLASSES = 20
MIN_CLASS_ROWS = 10
RESAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficacy:
    target: str
    measure: str
    """`auc` (classes; weighted one against rest) or `r2` (numbers)."""
    real: float
    """Trained on real rows, tested on the hold-out: the ceiling."""
    synthetic: float
    low: float
    high: float
    """95 % interval of `ratio`, by resampling the hold-out."""

    @property
    def ratio(self) -> float:
        """`synthetic` over `real`; 1 where real rows teach nothing either."""
        return self.synthetic / self.real if self.teaches else 1.0

    @property
    def teaches(self) -> bool:
        """Whether the target can be learnt from real rows at all."""
        return self.real > (0.52 if self.measure == "auc" else 0.02)


def usable_target(table: pa.Table, wanted: str | None) -> str | None:
    """`wanted`, or the last column that is a class of at most 20 values, or the last number; None: none."""
    columns = frame.columns(table)
    if wanted is not None:
        if wanted not in columns:
            raise UnknownName("column", wanted, columns)
        return wanted
    for column in reversed(columns.values()):
        distinct = len(np.unique(column.codes[column.codes >= 0]))
        if 2 <= distinct <= MAX_CLASSES:
            return column.name
    for column in reversed(columns.values()):
        if column.kind == "number" and len(np.unique(column.codes)) > MAX_CLASSES:
            return column.name
    return None


def measure(
    real: pa.Table, holdout: pa.Table, synthetic: pa.Table, *, target: str, seed: int = 0
) -> Efficacy | None:
    """Models of `target` on `real` and on `synthetic`, both tested on `holdout`; None: too few of a class."""
    tables = (real, synthetic, holdout)
    cast = [table.cast(real.schema) for table in tables]
    whole = frame.columns(pa.concat_tables(cast).select([target]))[target]
    edges = np.cumsum([table.num_rows for table in cast])[:-1]
    goals = np.split(whole.values if whole.kind == "number" else whole.codes, edges)
    there = np.split(~whole.missing, edges)
    if len(real.column_names) < 2:
        return None
    given = [table.drop_columns([target]) for table in cast]
    rows, category = features.design(given[0], given)
    rows = [part[mask] for part, mask in zip(rows, there, strict=True)]
    goals = [part[mask] for part, mask in zip(goals, there, strict=True)]
    is_class = whole.kind == "category" or len(np.unique(goals[0])) <= MAX_CLASSES
    if is_class:
        return _classes(rows, goals, category, target, seed)
    return _numbers(rows, goals, category, target, seed)


def _classes(
    rows: list[np.ndarray], goals: list[np.ndarray], category: np.ndarray, target: str, seed: int
) -> Efficacy | None:
    kept = [
        value
        for value in np.unique(goals[0])
        if min(int((goals[0] == value).sum()), int((goals[2] == value).sum())) >= MIN_CLASS_ROWS
    ]
    if len(kept) < 2:
        return None
    predicted = []
    test = np.isin(goals[2], kept)
    for place in (0, 1):
        known = np.isin(goals[place], kept)
        labels = np.searchsorted(kept, goals[place][known])
        chances = np.full((int(test.sum()), len(kept)), 1e-9)
        if len(np.unique(labels)) >= 2:
            model = discriminator.boosted(rows[place][known], labels, category, seed)
            chances[:, model.classes_] += model.predict_proba(rows[2][test])
        predicted.append(chances / chances.sum(axis=1, keepdims=True))
    truth = np.searchsorted(kept, goals[2][test])
    return _compared("auc", target, truth, predicted, _class_score, seed)


def _class_score(truth: np.ndarray, chances: np.ndarray) -> float:
    if chances.shape[1] == 2:
        return discriminator.auc(chances[:, 1], truth)
    present = np.unique(truth)
    weights = np.bincount(truth)[present] / len(truth)
    each = [roc_auc_score(truth == value, chances[:, value]) for value in present]
    return float(weights @ np.array(each))


def _numbers(
    rows: list[np.ndarray], goals: list[np.ndarray], category: np.ndarray, target: str, seed: int
) -> Efficacy | None:
    if min(map(len, goals)) < 2 * MIN_CLASS_ROWS:
        return None
    predicted = []
    for place in (0, 1):
        model = HistGradientBoostingRegressor(
            categorical_features=category, early_stopping=False, random_state=seed
        )
        with threadpool_limits(1):
            predicted.append(model.fit(rows[place], goals[place]).predict(rows[2]))
    return _compared("r2", target, goals[2], predicted, r2_score, seed)


def _compared(measure, target, truth, predicted, score, seed) -> Efficacy:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(truth), len(truth))
        if len(np.unique(truth[drawn])) < 2:
            continue
        real, made = (score(truth[drawn], part[drawn]) for part in predicted)
        ratios.append(made / real if real > 0 else 1.0)
    low, high = np.quantile(ratios, [0.025, 0.975]) if ratios else (0.0, 1.0)
    return Efficacy(
        target=target, measure=measure, real=float(score(truth, predicted[0])),
        synthetic=float(score(truth, predicted[1])), low=float(low), high=float(high),
    )  # fmt: skip
