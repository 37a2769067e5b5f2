"""Relevance: how much the records of a snapshot are like a target, by a classifier that has to tell them apart.

Of a record the classifier says how probable it is to come from the target rather than from the snapshot, as many of
each being shown: p / (1 - p) is the ratio of their densities (Bickel, Brückner & Scheffer 2009; Sugiyama et al.
2012). A record is never judged by a classifier that has seen it, and the probabilities are calibrated
(Platt 1999) on other records than they are read off for. Twice the mean of p over the snapshot is 1 for one
distribution, 0 for two that share nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenfold.data.gauges import statistic, vectors
from tenfold.data.gauges.gauge import Array, Readings
from tenfold.data.gauges.profile import Profile
from tenfold.data.gauges.sample import Sample

SHOWN = 1000
"""Records of each side the classifier is shown, at most."""
LEAST = 20
FOLDS = 3
_BINS = 10


def relevance(sample: Sample, target: Profile, *, threshold: float, seed: int) -> Readings:
    """Gauges `relevance.*`. `threshold`: probability from which a record counts as relevant. The intervals are of
    the snapshot's records; that another target sample would have trained another classifier is not in them."""
    found = Readings()
    places = [i for i, v in enumerate(sample.column(target.payload)) if v is not None][:SHOWN]
    ours = [sample.column(target.payload)[i] for i in places]
    theirs = list(target.values)[:SHOWN]
    if min(len(ours), len(theirs)) < LEAST:
        found.absent["relevance.mean"] = (
            f"{len(ours)} records and {len(theirs)} of the target; {LEAST} of each are needed"
        )
        return found
    mine, wanted = _vectors(target.payload, ours, theirs)
    probability, error, area = compared(mine, wanted, seed)
    spread = np.full(len(sample), np.nan)
    spread[places] = probability
    count = places[-1] + 1
    spread = spread[:count]
    known = np.isfinite(spread)
    found.sampled("relevance.mean", "share", statistic.mean(2 * spread), count)
    found.sampled(
        "relevance.share_above", "share", statistic.mean(spread >= threshold, known), count
    )
    found.blocks("relevance.auc", "", [area], len(ours) + len(theirs))
    found.blocks("relevance.calibration_error", "share", [error], len(ours) + len(theirs))
    bins, _ = np.histogram(probability, bins=20, range=(0, 1))
    found.tables["relevance"] = {"threshold": threshold, "bins": (bins / bins.sum()).tolist()}
    return found


def compared(
    ours: vectors.Vectors, target: vectors.Vectors, seed: int
) -> tuple[Array, float, float]:
    """Of each of `ours` the calibrated probability to be of the target; the expected calibration error (ten bins,
    Naeini et al. 2015), both sides counting equally; the area under the ROC curve."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    features = np.concatenate([ours, target])
    label = np.repeat([0, 1], [len(ours), len(target)])
    # Equal records go to one fold: a copy in the training part is not "another record".
    fold = _folds(features, seed)
    weight = np.where(label == 1, len(label) / (2 * len(target)), len(label) / (2 * len(ours)))
    score = np.zeros(len(label))
    probability = np.full(len(label), 0.5)
    for number in range(FOLDS):
        held = fold == number
        if held.any() and len(set(label[~held].tolist())) == 2:
            model = LogisticRegression(C=10.0, max_iter=200)
            model.fit(features[~held], label[~held], sample_weight=weight[~held])
            score[held] = model.decision_function(features[held])
    for number in range(FOLDS):
        held = fold == number
        if held.any() and len(set(label[~held].tolist())) == 2:
            platt = LogisticRegression(C=1e6, max_iter=200)
            platt.fit(score[~held, None], label[~held], sample_weight=weight[~held])
            probability[held] = platt.predict_proba(score[held, None])[:, 1]
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(place, weight * (probability - label), minlength=_BINS)
    area = float(roc_auc_score(label, probability, sample_weight=weight))
    return probability[: len(ours)], float(np.abs(gap).sum() / weight.sum()), area


def _folds(features: vectors.Vectors, seed: int) -> npt.NDArray[np.int64]:
    import xxhash

    _, group = np.unique(
        [xxhash.xxh3_64_intdigest(row.tobytes()) for row in features], return_inverse=True
    )
    chance = np.random.Generator(np.random.PCG64(seed))
    return chance.integers(0, FOLDS, int(group.max()) + 1)[group]


def _vectors(
    payload: str, ours: Sequence[object], theirs: Sequence[object]
) -> tuple[vectors.Vectors, vectors.Vectors]:
    if payload == "image":
        return vectors.images(ours), vectors.images(theirs)
    if payload == "row":
        edges = vectors.edges([*ours, *theirs])  # type: ignore[list-item]
        return vectors.rows(ours, edges), vectors.rows(theirs, edges)  # type: ignore[arg-type]
    return vectors.texts(ours), vectors.texts(theirs)  # type: ignore[arg-type]
