"""What one process counted, as plain data that travels; and how several become one.

Values are whole numbers in a family's smallest unit (nanoseconds, microjoules): whole numbers add up to the
same total in any order, so that merging is associative and commutative to the last bit. It knows no
family by name and no text format.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from tenfold.errors import InputError

BUCKETS_S = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""From an exact hit (well under a tenth of a millisecond) to a long answer of a large model."""
NS = 1_000_000_000

Series = tuple[str, ...]
"""The name of a family and the values of its labels, in the family's order."""

_JOINED: Mapping[str, Callable[[int, int], int]] = {"sum": operator.add, "max": max, "min": min}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: its name, what it is for, its labels, and how the values of several processes join."""

    name: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    help: str
    labels: tuple[str, ...] = ()
    joined: str = "sum"
    """`sum`, `max` or `min`; histograms are summed bucket by bucket."""
    per_unit: int = 1
    """How many of the whole numbers kept make one of the unit shown."""


class Snapshot(msgspec.Struct, frozen=True):
    """Every series of a process (or of several, merged) at one moment."""

    sums: dict[Series, int] = {}
    highest: dict[Series, int] = {}
    lowest: dict[Series, int] = {}
    histograms: dict[Series, tuple[int, ...]] = {}
    """Counts per bucket, the one beyond the last bound included, and then the total in nanoseconds."""

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        """Raises InputError for bytes that are no snapshot."""
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise InputError(f"not a snapshot of metrics: {error}") from None


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot of all, whatever their order and grouping; of none, the empty one."""
    tally = Tally()
    for snapshot in snapshots:
        tally.take(snapshot)
    return tally.snapshot()


class Tally:
    """A snapshot in the making. For one thread."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Series, int]] = {"sum": {}, "max": {}, "min": {}}
        self._histograms: dict[Series, list[int]] = {}

    def add(self, family: Family, value: float, *labels: object) -> None:
        """One value of a series, in the family's unit; a second one of the same series is joined to it."""
        self._join(
            family.joined,
            (family.name, *map(str, labels)),
            value * family.per_unit if isinstance(value, int) else round(value * family.per_unit),
        )

    def observe(self, family: Family, values_s: Iterable[float], *labels: object) -> None:
        """Durations in seconds, into a histogram."""
        counts = self._histogram((family.name, *map(str, labels)), len(BUCKETS_S) + 2)
        total = 0.0
        for value in values_s:
            counts[bisect_left(BUCKETS_S, value)] += 1
            total += value
        counts[-1] += round(total * NS)

    def take(self, snapshot: Snapshot) -> None:
        for how, table in zip(
            ("sum", "max", "min"), (snapshot.sums, snapshot.highest, snapshot.lowest), strict=True
        ):
            for series, value in table.items():
                self._join(how, series, value)
        for series, counts in snapshot.histograms.items():
            own = self._histogram(series, len(counts))
            if len(own) != len(counts):
                raise InputError(
                    "two processes disagree on the buckets of a histogram", seen=series
                )
            for index, count in enumerate(counts):
                own[index] += count

    def snapshot(self) -> Snapshot:
        numbers = {how: dict(table) for how, table in self._numbers.items()}
        histograms = {series: tuple(counts) for series, counts in self._histograms.items()}
        return Snapshot(numbers["sum"], numbers["max"], numbers["min"], histograms)

    def _join(self, how: str, series: Series, value: int) -> None:
        table = self._numbers[how]
        table[series] = _JOINED[how](table[series], value) if series in table else value

    def _histogram(self, series: Series, length: int) -> list[int]:
        found = self._histograms.get(series)
        if found is None:
            found = self._histograms[series] = [0] * length
        return found
