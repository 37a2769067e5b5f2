"""Aliases: movable names for digests, and the rule for when one may move.

An alias is written `model@champion`. It moves by compare-and-set, keeps its history, and stays where it
is while a check that stands behind the new digest is not green. Storage is the ledger's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.core.facts import Verdict
from tenfold.errors import UsageError

_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9._-]*")


def parse_alias(name: str) -> str:
    """The alias if it is well formed, else UsageError."""
    if not _ALIAS.fullmatch(name):
        raise UsageError(
            "an alias looks like model@champion: small letters, digits, '.', '_', '-'", seen=name
        )
    return name


def is_alias(name: str) -> bool:
    return "@" in name


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What stands behind a promotion: for one asset, its verdicts, or why there are none."""

    asset: str
    verdicts: Sequence[Verdict] = ()
    missing: str | None = None
    """Set when the asset was not built from what is being promoted."""


def refusals(evidence: Sequence[Evidence]) -> list[str]:
    """Every reason why the alias may not move; an empty list lets it."""
    reasons = []
    for item in evidence:
        if item.missing is not None:
            reasons.append(f"{item.asset}: {item.missing}")
        for verdict in item.verdicts:
            if verdict.state != "green":
                reasons.append(f"{item.asset}: {verdict.rule} is {verdict.state}: {verdict.reason}")
    return reasons


def rollback_target(history: Sequence[str | None], current: str | None) -> str | None:
    """The digest to go back to: the newest earlier one that differs from the current one.

    `history` holds the digests the alias had, oldest first, the current one last. A roll-back is itself
    a move, so rolling back twice walks further back only past digests that were not rolled away from.
    """
    standing: list[str] = []
    for digest in history:
        if digest is None:
            continue
        if digest in standing:
            del standing[standing.index(digest) + 1 :]  # returned to: what came after was undone
        else:
            standing.append(digest)
    earlier = [digest for digest in standing if digest != current]
    return earlier[-1] if earlier else None
