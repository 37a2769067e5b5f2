"""Labels that are probably wrong: confident learning.

Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 70),
sections 3.1 and 3.2. Takes labels and class probabilities that were estimated without the item's own label
(`classifier.held_out_probabilities`). Knows neither records nor classifiers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """What was found; all arrays are over the items given."""

    index: np.ndarray
    """int64 (num_found,): items whose label is probably wrong, surest first."""
    suggested: np.ndarray
    """int64 (num_found,): the class that the probabilities speak for."""
    joint: np.ndarray
    """float64 (num_classes, num_classes): share of items with given label i and true label j; sums to 1."""

    @property
    def noise_share(self) -> float:
        """Estimated share of wrong labels, 0 to 1."""
        return float(1 - np.trace(self.joint))


def mistakes(labels: np.ndarray, probabilities: np.ndarray) -> Mistakes:
    """`labels`: int (num_items,), `probabilities`: (num_items, num_classes), held out.

    Pruned by noise rate: for every pair of classes as many items as the joint says, those with the largest
    margin between the other class and the given one. Raises InputError for labels outside the classes.
    """
    size = probabilities.shape[1]
    if len(labels) != len(probabilities) or (
        len(labels) and not 0 <= labels.min() <= labels.max() < size
    ):
        raise InputError("every item needs a label among the classes", seen=[len(labels), size])
    joint = confident_joint(labels, probabilities)
    # Calibrated (equation 3): rows sum to what was given, all to 1.
    given = np.bincount(labels, minlength=size).astype(np.float64)
    rows = joint.sum(1, keepdims=True)
    joint = np.where(rows > 0, joint / np.maximum(rows, 1), np.eye(size)) * given[:, None]
    share = joint / max(1.0, joint.sum())
    own = probabilities[np.arange(len(labels)), labels]
    gap = probabilities - own[:, None]
    marked = np.full(len(labels), -1, np.int64)
    best = np.full(len(labels), -np.inf)
    for i in range(size):
        of_class = np.flatnonzero(labels == i)
        for j in range(size):
            take = 0 if i == j else round(joint[i, j])
            order = of_class[np.argsort(-gap[of_class, j], kind="stable")][:take]
            better = order[gap[order, j] > best[order]]
            marked[better], best[better] = j, gap[better, j]
    index = np.flatnonzero(marked >= 0)
    index = index[np.argsort(-best[index], kind="stable")]
    return Mistakes(index, marked[index], share)


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts (num_classes, num_classes): given label i, confidently class j (equation 1).

    An item counts for the likeliest class whose probability reaches that class's threshold: its mean over
    the items that are labelled so. An item below every threshold counts nowhere.
    """
    size = probabilities.shape[1]
    # A class nobody was given has no threshold to reach.
    threshold = np.array(
        [
            probabilities[labels == j, j].mean() if (labels == j).any() else np.inf
            for j in range(size)
        ]
    )
    reached = np.where(probabilities >= threshold, probabilities, -1.0)
    sure = reached.max(1) >= 0
    counts = np.zeros((size, size))
    np.add.at(counts, (labels[sure], reached[sure].argmax(1)), 1)
    return counts
