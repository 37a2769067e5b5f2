"""What a column of text holds, decided by all its cells together, and its cells in that form.

A cell such as `1,234` or `03/04/2025` has two readings; another cell of the column that has one decides. Where
none does, the column is reported as ambiguous and stays text: nothing is guessed. Knows one column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from tenfold.data.tables import date, money, number, unit, word
from tenfold.data.tables.date import Order
from tenfold.data.tables.number import Mark

Kind = Literal["number", "quantity", "money", "date", "serial", "unix", "truth", "text", "empty"]

MIN_READ = 0.9
"""Share of present cells that a kind must read; the others are reported and become null."""
TIME_NAME = re.compile(r"date|datum|fecha|time|zeit|_at$|_ts$|^ts$|created|updated|stamp", re.I)
"""Bare numbers are dates only in columns whose name says so."""
CODE = re.compile(r"[+-]?0\d+")
"""A leading zero: a postcode or a number of an account, never a quantity."""
UNIX_SECONDS = (3e8, 4e9)
"""1979 to 2096; 1,000 and 1,000,000 times as much for milliseconds and microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the cells of one column are read. Plain values: it travels to workers and into keys."""

    name: str
    kind: Kind
    confidence: float
    """Share of present cells that have one reading under this plan, 0 to 1."""
    mark: Mark = "."
    order: Order = "dmy"
    mixed: bool = False
    """Cells prove two decimal marks or two orders: each is read by its own proof, the others not at all."""
    dimension: str | None = None
    si: str | None = None
    """The SI unit of the values, of a quantity."""
    scale: float = 1.0
    """Counts per second, of Unix times."""
    ambiguous: str | None = None
    """What could not be decided; the column stays text then."""
    missing: tuple[tuple[str, int], ...] = field(default=())
    """Words that stood for missing values, and how often each did."""

    @property
    def type(self) -> pa.DataType:
        """Of the values; money has its currency in a second column, `<name>.currency`."""
        return {
            "number": pa.float64(), "quantity": pa.float64(), "money": pa.float64(),
            "date": pa.timestamp("us"), "serial": pa.timestamp("us"),
            "unix": pa.timestamp("us"), "truth": pa.bool_(),
        }.get(self.kind, pa.string())  # fmt: skip


def infer(name: str, cells: Sequence[str | None]) -> Plan:
    """The plan for the cells of a whole column, or of a sample large enough to speak for it."""
    tokens = Counter(cell.strip() for cell in cells if cell is not None and word.is_missing(cell))
    missing = tuple(sorted(tokens.items()))
    present = [cell for cell in cells if cell is not None and not word.is_missing(cell)]
    if not present:
        return Plan(name=name, kind="empty", confidence=1.0, missing=missing)
    text = Plan(name=name, kind="text", confidence=1.0, missing=missing)
    truths = [word.truth(cell) for cell in present]
    if {True, False} <= set(truths) and truths.count(None) <= (1 - MIN_READ) * len(present):
        plain = {cell.strip() for cell in present}
        if not plain <= {"0", "1"}:
            share = 1 - truths.count(None) / len(present)
            return Plan(name=name, kind="truth", confidence=share, missing=missing)
    if any(CODE.fullmatch(cell.strip()) for cell in present):
        return text
    for kind in ("number", "money", "quantity", "date"):
        found = _infer(name, kind, present, missing)
        if found is not None:
            return (
                _moments(found, present) if kind == "number" and TIME_NAME.search(name) else found
            )
    return text


def apply(plan: Plan, cells: Sequence[str | None]) -> tuple[pa.Array, list[str | None], list[int]]:
    """Values of `plan.type`, the currency of each cell (money only), and the places of unread cells."""
    values: list[Any] = []
    currencies: list[str | None] = []
    unread = []
    for place, cell in enumerate(cells):
        value, currency = None, None
        if cell is not None and not word.is_missing(cell):
            value, currency = _read(plan, cell)
            if value is None:
                unread.append(place)
        values.append(value)
        currencies.append(currency)
    return pa.array(values, plan.type), currencies, unread


def _infer(
    name: str, kind: Literal["number", "money", "quantity", "date"], cells: list[str],
    missing: tuple[tuple[str, int], ...],
) -> Plan | None:  # fmt: skip
    """The plan under which at least 90 % of the cells are of this kind; None: they are not."""
    sides: tuple[Any, ...] = date.ORDERS if kind == "date" else (".", ",")
    readers = {
        "number": number.parse, "money": money.parse, "quantity": unit.parse, "date": date.parse
    }  # fmt: skip
    reader: Any = readers[kind]
    readings = [tuple(reader(cell, side) for side in sides) for cell in cells]
    readable = sum(any(reading) for reading in readings)
    if readable < MIN_READ * len(cells):
        return None
    proofs = Counter(proof for proof in map(_proof, readings) if proof is not None)
    doubtful = sum(
        len({found for found in reading if found is not None}) > 1 for reading in readings
    )
    side = max(sides, key=lambda each: proofs[each])
    mixed = len(proofs) > 1
    if doubtful and not proofs:
        what = "day and month" if kind == "date" else "decimal mark"
        return Plan(
            name=name, kind="text", confidence=1 - doubtful / len(cells), missing=missing,
            ambiguous=f"{what}: {doubtful} cells have two readings and none decides",
        )  # fmt: skip
    plan: dict[str, Any] = {"order" if kind == "date" else "mark": side}
    if kind == "quantity":
        units = Counter(
            (found.unit.dimension, found.unit.si)
            for found in (next(filter(None, reading)) for reading in readings if any(reading))
        )
        (plan["dimension"], plan["si"]), count = units.most_common(1)[0]
        if count < MIN_READ * len(cells):
            return Plan(
                name=name, kind="text", confidence=count / len(cells), missing=missing,
                ambiguous="unit: " + ", ".join(sorted(each for each, _ in units)),
            )  # fmt: skip
    draft = Plan(name=name, kind=kind, confidence=1.0, mixed=mixed, missing=missing, **plan)
    read = sum(_read(draft, cell)[0] is not None for cell in cells)
    if read < MIN_READ * len(cells):
        return Plan(
            name=name, kind="text", confidence=read / len(cells), missing=missing,
            ambiguous=f"{kind}: cells prove two ways of writing, and {len(cells) - read} fit both",
        )  # fmt: skip
    return Plan(
        name=name, kind=kind, confidence=read / len(cells), mixed=mixed, missing=missing, **plan
    )


def _proof(reading: tuple[Any, ...]) -> str | None:
    """The one side under which a cell can be read, by itself."""
    for found in reading:
        if found is not None:
            proof = found.order if isinstance(found, date.Moment) else found.mark
            return None if proof is None else str(proof)
    return None


def _read(plan: Plan, cell: str) -> tuple[Any, str | None]:
    if plan.kind == "text" or plan.kind == "empty":
        return cell, None
    if plan.kind == "truth":
        return word.truth(cell), None
    if plan.kind == "date":
        moment = date.parse(cell, plan.order)
        if moment is None and plan.mixed:
            moment = next(filter(None, (date.parse(cell, order) for order in date.ORDERS)), None)
        if moment is None or (plan.mixed and date.ambiguous(cell)):
            return None, None
        return moment.value.replace(tzinfo=None), None
    if plan.kind == "money":
        amount = money.parse(cell, plan.mark) or (_other(money.parse, plan, cell))
        if amount is None or _two(money.parse, plan, cell, "amount"):
            return None, None
        return amount.amount, amount.currency
    reader: Any = unit.parse if plan.kind == "quantity" else number.parse
    found = reader(cell, plan.mark) or _other(reader, plan, cell)
    if found is None or _two(reader, plan, cell, "value"):
        return None, None
    if plan.kind == "quantity" and found.unit.dimension != plan.dimension:
        return None, None
    if plan.kind == "serial":
        return date.excel(found.value), None
    if plan.kind == "unix":
        return _unix(found.value / plan.scale), None
    return found.value, None


def _other(reader: Any, plan: Plan, cell: str) -> Any:
    """A cell of the minority, read by its own proof, where the column has both ways."""
    return reader(cell, "," if plan.mark == "." else ".") if plan.mixed else None


def _two(reader: Any, plan: Plan, cell: str, value: str) -> bool:
    if not plan.mixed:
        return False
    point, comma = reader(cell, "."), reader(cell, ",")
    return bool(point and comma and getattr(point, value) != getattr(comma, value))


def _moments(plan: Plan, cells: list[str]) -> Plan:
    """Bare numbers in a column of times: spreadsheet serials or Unix counts, where nearly all fit."""
    values = [found.value for cell in cells if (found := number.parse(cell, plan.mark))]
    for scale in (1.0, 1e3, 1e6):
        low, high = UNIX_SECONDS[0] * scale, UNIX_SECONDS[1] * scale
        if sum(low <= value <= high for value in values) >= MIN_READ * len(cells):
            return Plan(
                name=plan.name, kind="unix", confidence=plan.confidence, mark=plan.mark,
                scale=scale, missing=plan.missing,
            )  # fmt: skip
    if sum(10_000 <= value <= 80_000 for value in values) >= MIN_READ * len(cells):
        return Plan(
            name=plan.name, kind="serial", confidence=plan.confidence, mark=plan.mark,
            missing=plan.missing,
        )  # fmt: skip
    return plan


def _unix(seconds: float) -> datetime | None:
    if not UNIX_SECONDS[0] <= seconds <= UNIX_SECONDS[1]:
        return None
    return date.unix(seconds).replace(tzinfo=None)
