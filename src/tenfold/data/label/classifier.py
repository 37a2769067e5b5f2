"""A small classifier for the time between two rounds of labelling: hashed n-grams, then logistic regression.

It learns from tens of labels in a second and says how sure it is. Features need no vocabulary, so that a
round sees the same columns as the one before. Knows texts and arrays, no records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from tenfold.errors import InputError

NUM_FEATURES = 1 << 18
"""Columns of a text's features: hashed words, pairs of words and pieces of three to five characters."""
FOLDS = 5


def text_features(texts: Sequence[str]) -> scipy.sparse.csr_matrix:
    """(num_texts, NUM_FEATURES), rows of length 1; log counts weighted by how rare a column is among these
    texts, words and characters half each."""
    kinds = ((1, 2, "word"), (3, 5, "char_wb"))
    parts = [
        HashingVectorizer(
            n_features=NUM_FEATURES // 2, ngram_range=(low, high), analyzer=analyzer, norm=None,
            alternate_sign=False,
        ).transform(texts)
        for low, high, analyzer in kinds
    ]  # fmt: skip
    joined = []
    for part in parts:
        rare = np.log(
            (1 + part.shape[0]) / (1 + np.bincount(part.indices, minlength=part.shape[1]))
        )
        part.data = np.log1p(part.data) * (1 + rare[part.indices])
        length = np.sqrt(np.asarray(part.multiply(part).sum(1)).ravel())
        length[length == 0] = 1
        joined.append(scipy.sparse.diags(np.sqrt(0.5) / length) @ part)
    return scipy.sparse.csr_matrix(scipy.sparse.hstack(joined))


class Classifier:
    """Classes are 0 to `num_classes` - 1; one that no label was seen of has probability 0."""

    def __init__(self, num_classes: int, *, strength: float = 10.0) -> None:
        """`strength`: inverse of the penalty on weights, above 0."""
        self.num_classes = num_classes
        self._strength = strength
        self._fitted: Any = None
        self._columns: np.ndarray | None = None
        self._only: int | None = None

    def fit(self, features: Any, labels: np.ndarray) -> Classifier:
        """`features`: (num_items, num_features), dense or sparse; `labels`: int (num_items,)."""
        present = np.unique(labels)
        if len(present) == 0:
            raise InputError("a classifier needs at least one label")
        self._only = int(present[0]) if len(present) == 1 else None
        if self._only is None:
            if scipy.sparse.issparse(features):
                # A column that is empty here would get no weight; without it the fit is many times faster.
                self._columns = np.unique(features.indices)
            self._fitted = LogisticRegression(C=self._strength, max_iter=200, tol=1e-3)
            self._fitted.fit(self._seen(features), labels)
        return self

    def _seen(self, features: Any) -> Any:
        return features if self._columns is None else features[:, self._columns]

    def probabilities(self, features: Any) -> np.ndarray:
        """(num_items, num_classes)"""
        found = np.zeros((features.shape[0], self.num_classes))
        if self._only is not None:
            found[:, self._only] = 1.0
        else:
            found[:, self._fitted.classes_] = self._fitted.predict_proba(self._seen(features))
        return found


def held_out_probabilities(
    features: Any,
    labels: np.ndarray,
    num_classes: int,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    strength: float = 10.0,
) -> np.ndarray:
    """(num_items, num_classes), each item judged by a classifier that has not seen it.

    Raises InputError where the rarest class has fewer labels than `folds`.
    """
    fewest = int(np.bincount(labels)[np.unique(labels)].min()) if len(labels) else 0
    if fewest < folds:
        raise InputError(
            f"cross-validation needs {folds} labels of every class",
            seen=f"{fewest} of the rarest",
            hint="label more, or ask for fewer folds",
        )
    found = np.zeros((len(labels), num_classes))
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for train, test in parts.split(np.zeros(len(labels)), labels):
        fitted = Classifier(num_classes, strength=strength).fit(features[train], labels[train])
        found[test] = fitted.probabilities(features[test])
    return found
