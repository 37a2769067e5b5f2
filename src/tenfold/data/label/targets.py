"""Which records are worth a label most: where a classifier is torn, or where voters differ, and no two alike.

Scores are 0 (sure) to 1 (torn), float64 (num_items,). Knows no classifier and no record.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from tenfold.errors import InputError


def margin(probabilities: np.ndarray) -> np.ndarray:
    """1 minus the distance between the two likeliest classes. `probabilities`: (num_items, num_classes).

    Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models for information extraction".
    """
    _check(probabilities)
    top = np.partition(probabilities, -2, axis=1)
    gap: np.ndarray = 1 - (top[:, -1] - top[:, -2])
    return gap


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy over that of a uniform guess. `probabilities`: (num_items, num_classes)."""
    _check(probabilities)
    return _entropy(probabilities)


def vote_entropy(votes: np.ndarray, num_classes: int) -> np.ndarray:
    """How divided the votes on an item are. `votes`: int (num_items, num_voters), -1: did not vote; 0 for an
    item with fewer than two votes. Voters are annotators, or a committee of classifiers.

    Dagan & Engelson 1995, "Committee-based sampling for training probabilistic classifiers".
    """
    counts = np.stack([(votes == label).sum(1) for label in range(num_classes)], axis=1)
    rated = counts.sum(1, keepdims=True)
    found = _entropy(counts / np.maximum(1, rated))
    found[rated[:, 0] < 2] = 0.0
    return found


def diverse(
    scores: np.ndarray,
    vectors: scipy.sparse.csr_matrix | np.ndarray,
    size: int,
    max_similarity: float = 0.9,
) -> np.ndarray:
    """Indices of at most `size` items, highest score first, none nearer to a chosen one than
    `max_similarity` (cosine); ties go to the item that comes first.

    `vectors`: (num_items, num_features), dense or sparse. Fewer come back where all others are near-copies.
    """
    rows = scipy.sparse.csr_matrix(vectors, dtype=np.float64)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    length[length == 0] = 1.0
    rows = scipy.sparse.csr_matrix(scipy.sparse.diags(1 / length) @ rows)
    free = np.ones(len(scores), bool)
    chosen: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) == size:
            break
        if free[index]:
            chosen.append(index)
            near = (rows @ rows[index].T).toarray().ravel()
            free &= near <= max_similarity
    return np.array(chosen, np.int64)


def _entropy(shares: np.ndarray) -> np.ndarray:
    logs = np.log(np.where(shares > 0, shares, 1.0))
    found: np.ndarray = -(shares * logs).sum(1) / np.log(max(2, shares.shape[1]))
    return np.abs(found)  # no -0.0


def _check(probabilities: np.ndarray) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InputError(
            "class probabilities are a table with two or more columns", seen=probabilities.shape
        )
    if len(probabilities) and (
        probabilities.min() < 0 or np.abs(probabilities.sum(1) - 1).max() > 1e-3
    ):
        raise InputError("class probabilities of an item must be 0 or more and sum to 1")
