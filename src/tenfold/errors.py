"""Every error tenfold raises on purpose.

    TenfoldError                      exit code
    ├── UsageError                    2   the caller asked for something that cannot be
    │   ├── SpecError                     the factory file is wrong (all faults at once)
    │   ├── GraphError                    a cycle, an unknown need
    │   ├── ConfigError                   a step's settings are wrong
    │   ├── UnknownName                   no such step, asset, alias, run, model or answer
    │   └── MissingExtra                  an optional package is not installed
    ├── CheckFailed                   1   a rule over metrics is red
    │   ├── PromotionRefused              an alias may not move
    │   └── AliasConflict                 somebody else moved the alias first
    ├── StepFailed                    1   code inside a step raised
    ├── InputError                    1   a document, table or model could not be read
    └── InfrastructureError           3   the machine, not the factory
        ├── StoreError                    blobs cannot be read or written
        │   ├── StoreFull
        │   ├── BlobMissing
        │   └── StoreTooNew
        ├── LedgerError                   facts cannot be read or written
        │   └── FactRefused               not this record, now or later
        ├── LeaseHeld                     another process is making this asset
        └── BackendError                  what generates tokens does not answer

A message carries the fact, the place, the value seen and the next action. This file knows nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable


class TenfoldError(Exception):
    """The root: one sentence of fact, then optionally where, what was seen, and what to do next."""

    exit_code = 1

    def __init__(
        self,
        fact: str,
        *,
        where: str | None = None,
        seen: object = None,
        hint: str | None = None,
    ) -> None:
        self.fact = fact
        self.where = where
        self.seen = seen
        self.hint = hint
        super().__init__(fact)

    def __str__(self) -> str:
        text = f"{self.where}: {self.fact}" if self.where else self.fact
        if self.seen is not None:
            text += f" (seen: {self.seen!r})"
        if self.hint:
            text += f"\n  hint: {self.hint}"
        return text

    def describe(self) -> dict[str, object]:
        """The error as a record, for `--json`, logs and HTTP."""
        return {
            "error": type(self).__name__,
            "fact": self.fact,
            "where": self.where,
            "seen": None if self.seen is None else repr(self.seen),
            "hint": self.hint,
        }


class UsageError(TenfoldError):
    exit_code = 2


class SpecError(UsageError):
    """All faults of a factory file, each with file:line:col and path, one per line."""

    def __init__(self, faults: Iterable[str], *, hint: str | None = None) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults), hint=hint)

    def describe(self) -> dict[str, object]:
        return {**super().describe(), "faults": list(self.faults)}


class GraphError(UsageError):
    pass


class ConfigError(UsageError):
    pass


class UnknownName(UsageError):
    """A name that is not there, with the nearest one that is."""

    def __init__(
        self,
        what: str,
        name: str,
        known: Iterable[str],
        *,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.name = name
        super().__init__(
            f"unknown {what} {name!r}", where=where, hint=hint or suggestion(name, known)
        )


class MissingExtra(UsageError):
    pass


class CheckFailed(TenfoldError):
    exit_code = 1


class PromotionRefused(CheckFailed):
    pass


class AliasConflict(CheckFailed):
    pass


class StepFailed(TenfoldError):
    exit_code = 1


class InputError(TenfoldError):
    exit_code = 1


class InfrastructureError(TenfoldError):
    exit_code = 3


class StoreError(InfrastructureError):
    pass


class StoreFull(StoreError):
    pass


class BlobMissing(StoreError):
    pass


class StoreTooNew(StoreError):
    pass


class LedgerError(InfrastructureError):
    pass


class FactRefused(LedgerError):
    """A record that the ledger cannot hold: trying again is of no use."""


class LeaseHeld(InfrastructureError):
    pass


class BackendError(InfrastructureError):
    pass


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """`did you mean "x"?` for the nearest known name, the list when it is short, else None."""
    import difflib  # only on the way to an error message

    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    if 0 < len(names) <= 12:
        return "known: " + ", ".join(names)
    return None
