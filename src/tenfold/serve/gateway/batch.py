"""Events, energy windows and deeds on their way to the ledger, as columns: written there, or kept on disk first.

It knows which facts it carries and how they are spelled on disk; it knows neither ledger nor spool.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tenfold.core.facts import AuditEntry, EnergyWindow, RequestEvent
from tenfold.errors import InputError

_KINDS: Mapping[str, type] = {
    kind.__name__: kind for kind in (RequestEvent, EnergyWindow, AuditEntry)
}
_THE_LEDGERS = ("seq", "previous", "hash")
"""Fields that only the ledger can fill in."""
_FIELDS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in dataclasses.fields(kind) if field.name not in _THE_LEDGERS)
    for kind in _KINDS.values()
}

Tables = dict[type, Mapping[str, Sequence[Any]]]


class Batch:
    """Compared by identity: a batch is in one queue at a time."""

    def __init__(self, tables: Tables, kept: Callable[[], None] | None = None) -> None:
        """`kept` is called once, when all of it is in the ledger or on disk."""
        self.tables = tables
        self.kept = kept
        self.made = time.monotonic()

    @property
    def num_events(self) -> int:
        return _length(self.tables.get(RequestEvent, {}))

    @property
    def num_facts(self) -> int:
        return sum(_length(columns) for columns in self.tables.values())

    def encode(self) -> bytes:
        named = {kind.__name__: columns for kind, columns in self.tables.items()}
        return msgspec.msgpack.encode(named)

    @classmethod
    def decode(cls, data: bytes) -> Batch:
        """Fields that this version does not know are left out: a spool may outlive an upgrade.

        Raises InputError for what no version wrote.
        """
        try:
            named = msgspec.msgpack.decode(data, type=dict[str, dict[str, list[Any]]])
        except msgspec.MsgspecError as error:
            raise InputError(f"not a batch of events: {error}") from None
        return cls(
            {
                _KINDS[name]: {n: c for n, c in columns.items() if n in _FIELDS[_KINDS[name]]}
                for name, columns in named.items()
                if name in _KINDS
            }
        )

    def singles(self) -> Iterator[Batch]:
        """The same facts, each in a batch of its own."""
        for kind, columns in self.tables.items():
            for index in range(_length(columns)):
                yield Batch({kind: {name: [column[index]] for name, column in columns.items()}})


def window_columns(windows: Sequence[EnergyWindow]) -> dict[str, list[Any]]:
    return {name: [getattr(window, name) for window in windows] for name in _FIELDS[EnergyWindow]}


def _length(columns: Mapping[str, Sequence[Any]]) -> int:
    return len(next(iter(columns.values()), ()))
