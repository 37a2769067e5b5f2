"""The audit's hash chain: each entry carries the hash of the one before it, so that taking one out,
changing one or putting one in shows. Storage is the ledger's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tenfold.core.facts import AuditEntry
from tenfold.core.keys import canonical_json, digest
from tenfold.ledger.tables import storable

GENESIS = "0" * 64


def seal(entry: AuditEntry, previous: str) -> AuditEntry:
    """The entry linked to the hash before it, and as it will come back: what is hashed is what is kept."""
    entry = replace(
        entry,
        at_s=float(entry.at_s),
        actor=storable(entry.actor),
        action=storable(entry.action),
        subject=storable(entry.subject),
    )
    return replace(entry, previous=previous, hash=_hash(entry, previous))


def first_broken(entries: Iterable[AuditEntry]) -> AuditEntry | None:
    """The first entry that does not fit the chain; None when all of it holds."""
    previous = GENESIS
    for entry in entries:
        if entry.previous != previous or entry.hash != _hash(entry, previous):
            return entry
        previous = entry.hash
    return None


def holds(entries: Iterable[AuditEntry], head: str = GENESIS) -> bool:
    """Whether the chain is whole and still has the entry whose hash is `head`.

    A chain that was cut off at its end is a whole, shorter one; only a hash that was noted elsewhere
    shows that there was more.
    """
    known = list(entries)
    return first_broken(known) is None and (
        head == GENESIS or any(entry.hash == head for entry in known)
    )


def _hash(entry: AuditEntry, previous: str) -> str:
    return digest(
        canonical_json(
            [previous, entry.at_s, entry.actor, entry.action, entry.subject, dict(entry.detail)]
        )
    )
