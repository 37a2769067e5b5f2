"""What the labels so far make worth a look: disputed, suspect and unsure records, each ranked by its own score.

`disputed`: annotators differ. `suspect`: the label contradicts what the other labels teach. `unsure`: the
classifier is torn. `unlabelled`: nothing is known yet, so chance decides. Knows arrays, no snapshot and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.data.label.classifier import FOLDS, Classifier, held_out_probabilities
from tenfold.data.label.log import Ballots
from tenfold.data.label.mistakes import mistakes
from tenfold.data.label.ranking import DISPUTED, SUSPECT, UNLABELLED, UNSURE, Ranking
from tenfold.data.label.targets import diverse, entropy, margin, vote_entropy

SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"margin": margin, "entropy": entropy}
MAX_TWINS = 0.999
"""Cosine up to which two disputed or suspect records are two: every one of them needs a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Records that are not dropped, and what is known of their labels."""

    ids: Sequence[str]
    features: Any
    """(num_records, num_features)"""
    votes: np.ndarray
    """int64 (num_records, num_annotators), index of the choice, -1: none."""
    num_choices: int


def pool(ids: Sequence[str], features: Any, given: Ballots) -> Pool:
    place = {record: n for n, record in enumerate(given.records)}
    votes = np.full((len(ids), max(1, len(given.annotators))), -1, np.int64)
    for row, each in enumerate(ids):
        if each in place:
            votes[row] = given.votes[place[each]]
    return Pool(ids=ids, features=features, votes=votes, num_choices=len(given.choices))


def consensus(votes: np.ndarray, num_choices: int) -> np.ndarray:
    """int64 (num_records,): the choice with most votes, -1 without a vote or at a tie."""
    counts = np.stack([(votes == choice).sum(1) for choice in range(num_choices)], axis=1)
    top = counts.max(1)
    clear = (top > 0) & ((counts == top[:, None]).sum(1) == 1)
    return np.where(clear, counts.argmax(1), -1)


def rankings(
    found: Pool, *, size: int, score: str, max_similarity: float, seed: int
) -> list[Ranking]:
    """At most `size` records for each reason that applies. Random where nothing is labelled yet."""
    labels = consensus(found.votes, found.num_choices)
    voted = (found.votes >= 0).any(1)
    rest = np.flatnonzero(~voted)
    known = np.flatnonzero(labels >= 0)
    made = [_of(found, DISPUTED, vote_entropy(found.votes, found.num_choices), size)]
    if len(np.unique(labels[known])) < 2:
        random = np.zeros(len(found.ids))
        random[rest] = np.random.default_rng(seed).random(len(rest)) + 1e-9
        made.append(_of(found, UNLABELLED, random, size, max_similarity))
        return made
    fewest = int(np.bincount(labels[known])[np.unique(labels[known])].min())
    if fewest >= FOLDS:
        held_out = held_out_probabilities(
            found.features[known], labels[known], found.num_choices, seed=seed
        )
        wrong = mistakes(labels[known], held_out)
        suspicion = np.zeros(len(found.ids))
        own = held_out[wrong.index, labels[known][wrong.index]]
        suspicion[known[wrong.index]] = 1 - own
        made.append(_of(found, SUSPECT, suspicion, size))
    if len(rest):
        model = Classifier(found.num_choices).fit(found.features[known], labels[known])
        torn = np.zeros(len(found.ids))
        torn[rest] = SCORES[score](model.probabilities(found.features[rest])) + 1e-9
        made.append(_of(found, UNSURE, torn, size, max_similarity))
    return made


def _of(
    found: Pool, reason: str, scores: np.ndarray, size: int, similarity: float = MAX_TWINS
) -> Ranking:
    candidates = np.flatnonzero(scores > 0)
    if not len(candidates):
        return Ranking(reason)
    best = candidates[diverse(scores[candidates], found.features[candidates], size, similarity)]
    return Ranking(reason, [found.ids[n] for n in best], [min(1.0, float(scores[n])) for n in best])
