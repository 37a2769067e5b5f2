"""Weak supervision: many rough labelling functions, one probabilistic label, and how good each function is.

A function votes for a class or abstains. Which votes to believe is learned from how they agree, without a true
label: Dawid & Skene 1979 (Applied Statistics 28) with one accuracy per function, as the data programming of
Ratner et al. 2016 has it. Votes are taken as independent given the truth. Knows no record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.errors import InputError

ABSTAIN = -1
Function = Callable[[Any], "int | None"]
"""A record's payload -> a class, or None: no opinion."""


def votes(functions: Sequence[Function], payloads: Sequence[Any]) -> np.ndarray:
    """int64 (num_items, num_functions); -1: abstained."""
    said = [[function(payload) for function in functions] for payload in payloads]
    cast = np.array(
        [[ABSTAIN if vote is None else vote for vote in row] for row in said], dtype=np.int64
    )
    return cast.reshape(len(payloads), len(functions))


def majority(cast: np.ndarray, num_classes: int) -> np.ndarray:
    """Shares of the votes, (num_items, num_classes); uniform where all abstained."""
    _check(cast, num_classes)
    counts = np.stack([(cast == label).sum(1) for label in range(num_classes)], axis=1)
    total = counts.sum(1, keepdims=True)
    shares: np.ndarray = np.where(total > 0, counts / np.maximum(1, total), 1 / num_classes)
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class LabelModel:
    accuracy: np.ndarray
    """(num_functions,): share of its votes that are right, estimated; NaN for one that never votes."""
    coverage: np.ndarray
    """(num_functions,): share of items it votes on."""
    prior: np.ndarray
    """(num_classes,)"""
    probabilities: np.ndarray
    """(num_items, num_classes); the prior where all abstained."""


def label_model(
    cast: np.ndarray,
    num_classes: int,
    *,
    prior: np.ndarray | None = None,
    max_rounds: int = 500,
    tolerance: float = 1e-6,
) -> LabelModel:
    """Expectation maximisation from the majority's vote. `prior`: of the classes, where it is known.

    Ends when no accuracy moves by more than `tolerance`. It must be told more by functions that are right
    than by functions that are wrong: what it cannot tell is a world with all accuracies turned round.
    """
    _check(cast, num_classes)
    voted = cast != ABSTAIN
    cast_by = voted.sum(0)
    belief = majority(cast, num_classes)
    items = np.arange(len(cast))[:, None]
    safe = np.where(voted, cast, 0)
    heard = voted.any(1)
    shares = np.full(num_classes, 1 / num_classes) if prior is None else np.asarray(prior, float)
    accuracy = np.full(cast.shape[1], 0.7)
    for _ in range(max_rounds):
        before = accuracy
        right = (belief[items, safe] * voted).sum(0)
        # One right and one wrong vote more than seen: no accuracy becomes 0 or 1.
        accuracy = (right + 1) / (cast_by + 2)
        if prior is None and heard.any():
            shares = (belief[heard].sum(0) + 1) / (heard.sum() + num_classes)
        hit = np.log(accuracy)
        miss = np.log((1 - accuracy) / (num_classes - 1))
        logs = np.log(shares) + (voted * miss).sum(1, keepdims=True)
        for label in range(num_classes):
            logs[:, label] += ((cast == label) * (hit - miss)).sum(1)
        belief = np.exp(logs - logs.max(1, keepdims=True))
        belief /= belief.sum(1, keepdims=True)
        if np.abs(accuracy - before).max(initial=0.0) < tolerance:
            break
    return LabelModel(
        accuracy=np.where(cast_by > 0, accuracy, np.nan),
        coverage=voted.mean(0) if len(cast) else np.zeros(cast.shape[1]),
        prior=shares,
        probabilities=belief,
    )


def _check(cast: np.ndarray, num_classes: int) -> None:
    if num_classes < 2:
        raise InputError("labels need two or more classes", seen=num_classes)
    if cast.ndim != 2 or (cast.size and not ABSTAIN <= cast.min() <= cast.max() < num_classes):
        raise InputError(
            "votes are a table of classes, -1 for no opinion",
            seen=f"shape {cast.shape}, {num_classes} classes",
        )
