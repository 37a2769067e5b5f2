"""Rankings by reason, and how one queue is made of them: in turn, so that no reason starves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DISPUTED, SUSPECT, UNSURE, UNLABELLED = "disputed", "suspect", "unsure", "unlabelled"
QUARANTINED = "quarantined"
"""Reasons; the others are causes of drops."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Records of one reason, the most urgent first, with scores of 0 to 1."""

    reason: str
    ids: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def in_turn(given: Sequence[Ranking], size: int) -> list[tuple[str, str, float]]:
    """(record, reason, score): the first of each reason, then the second; a record once, for its first reason."""
    taken: dict[str, tuple[str, str, float]] = {}
    for turn in range(max((len(each.ids) for each in given), default=0)):
        for each in given:
            if turn < len(each.ids) and len(taken) < size:
                record = each.ids[turn]
                taken.setdefault(record, (record, each.reason, each.scores[turn]))
    return list(taken.values())
