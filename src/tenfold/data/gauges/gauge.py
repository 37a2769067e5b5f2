"""What a gauge is: a number about a snapshot, and how its noise is found out.

Three shapes. `Sampled`: a statistic of weighted records, so that a bootstrap round is one row of weights.
`Blocks`: values of equal blocks of records, for numbers that change with how much is looked at (distinct
n-grams, Vendi score): drawing a record twice would make them lie. `Exact`: counted over everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[np.float64]"
Statistic: TypeAlias = Callable[[npt.NDArray[np.floating[Any]]], Array]
"""Weights (rounds, records) -> one value for each round; nan where there is none."""

MIN_BLOCKS = 4
"""Fewer say nothing of their spread: then a figure has no interval."""


@dataclass(frozen=True, slots=True)
class Sampled:
    name: str
    unit: str
    statistic: Statistic
    records: int
    """It looks at so many: the first of the sample, which are as random as all of it."""
    known: int
    """Of so many of them what it asks is known."""


@dataclass(frozen=True, slots=True)
class Blocks:
    name: str
    unit: str
    values: Array
    records: int
    """Or queries: what the blocks are made of."""


@dataclass(frozen=True, slots=True)
class Exact:
    name: str
    unit: str
    value: float
    records: int


Gauge: TypeAlias = "Sampled | Blocks | Exact"


@dataclass(frozen=True, slots=True)
class Figure:
    """A gauge read off: its value and its 95 % interval."""

    name: str
    """`family.gauge`, as checks name it."""
    unit: str
    value: float
    low: float | None
    """None: nothing to tell its noise from. An exact figure has the value itself."""
    high: float | None
    records: int
    """How many were looked at."""
    exact: bool = False


class Readings:
    """What a family found: gauges, what could not be gauged and why, and tables for a report."""

    def __init__(self) -> None:
        self.gauges: list[Gauge] = []
        self.absent: dict[str, str] = {}
        """Gauge -> why it is not there."""
        self.tables: dict[str, Any] = {}
        """Name -> plain JSON values, for drawings."""

    def sampled(
        self, name: str, unit: str, statistic: Statistic, records: int, known: int | None = None
    ) -> None:
        self.gauges.append(
            Sampled(name, unit, statistic, records, records if known is None else known)
        )

    def blocks(self, name: str, unit: str, values: Any, records: int) -> None:
        self.gauges.append(Blocks(name, unit, np.asarray(values, np.float64), records))

    def exact(self, name: str, unit: str, value: float, records: int) -> None:
        self.gauges.append(Exact(name, unit, float(value), records))

    def add(self, other: Readings) -> None:
        self.gauges += other.gauges
        self.absent |= other.absent
        self.tables |= other.tables
