"""Purges as marks: what was asked for before a mark, and carries its tag, is no answer any more.

A mark works at once and costs the same for one answer as for a million; tiers throw the bytes away when they
get to it. It knows no tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from tenfold.serve.cache.stored import Stored

EVERYTHING = "all"
MAX_MARKS = 4096
"""Beyond it the older half becomes one mark on everything: coarser, never wrong."""


MAX_TAG_BYTES = 200
"""A longer name is known by its digest, so that every tier can keep it."""


def tenant_tag(tenant: str) -> str:
    return _tag("tenant", tenant)


def model_tag(digest: str) -> str:
    return _tag("model", digest)


def surrogate_tag(name: str) -> str:
    return _tag("key", name)


def epoch_tag(epoch: int) -> str:
    """For the room only: answers of another policy epoch have other keys and are not found anyway."""
    return f"epoch:{epoch}"


def _tag(kind: str, name: str) -> str:
    if name.isascii() and len(name) <= MAX_TAG_BYTES:
        return f"{kind}:{name}"
    return f"{kind}#{sha256(name.encode(errors='surrogatepass')).hexdigest()}"


def tags_of(stored: Stored) -> tuple[str, ...]:
    """Every tag a purge may find it by."""
    return (
        EVERYTHING,
        tenant_tag(stored.tenant),
        model_tag(stored.model_digest),
        epoch_tag(stored.epoch),
        *map(surrogate_tag, stored.surrogates),
    )


class Marks:
    """Tag -> Unix time of the last purge. Falsy while there is none."""

    def __init__(self, marks: Mapping[str, float] | None = None) -> None:
        self.at_s: dict[str, float] = {}
        if marks:
            self.learn(marks)

    def __bool__(self) -> bool:
        return bool(self.at_s)

    def covers(self, stored: Stored) -> bool:
        """Whether a purge came after it was asked for. At the same instant counts as covered."""
        at_s = self.at_s
        created_at_s = stored.created_at_s
        return any(created_at_s <= at_s.get(tag, -1.0) for tag in tags_of(stored))

    def add(self, tag: str, at_s: float) -> bool:
        """A later mark on the same tag replaces an earlier one. False: this says nothing new."""
        if at_s <= max(self.at_s.get(tag, -1.0), self.at_s.get(EVERYTHING, -1.0)):
            return False
        self.at_s[tag] = at_s
        if len(self.at_s) > MAX_MARKS:
            self._merge()
        return True

    def learn(self, marks: Mapping[str, float]) -> bool:
        """Take over what another process or host has marked. False: none of it was new."""
        return sum(self.add(tag, at_s) for tag, at_s in marks.items()) > 0

    def _merge(self) -> None:
        by_age = sorted(self.at_s.items(), key=lambda mark: mark[1])
        half = len(by_age) // 2
        newest_of_old = by_age[half - 1][1]
        self.at_s = dict(by_age[half:])
        self.at_s[EVERYTHING] = max(newest_of_old, self.at_s.get(EVERYTHING, -1.0))
