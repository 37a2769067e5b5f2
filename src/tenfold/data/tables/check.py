"""A table against rules: how many rows break each, with examples and their places.

Knows rules and tables; what follows from a broken rule, the caller decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tenfold.data.tables.profile import as_numbers, as_texts, kind_of
from tenfold.data.tables.rules import ColumnRule, Rules

EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    rule: str
    """`age.low`, `key`, `start <= end`, `country -> countries.code`, ..."""
    broken: int
    """Rows that break it."""
    rows: int
    """Rows it speaks about."""
    examples: tuple[tuple[int, str], ...]
    """The first five: row from 0, and what stands there."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check(
    table: pa.Table, rules: Rules, others: Mapping[str, pa.Table] | None = None
) -> list[Finding]:
    """One finding for each broken rule, most rows first; none: the table keeps them all."""
    found: list[Finding] = []
    for name in table.column_names:
        if name not in rules.columns:
            found.append(_whole(f"{name}: no rule names this column", table))
    for name, rule in rules.columns.items():
        if name not in table.column_names:
            found.append(_whole(f"{name}: the column is not there", table))
            continue
        found += _column(name, table.column(name), rule)
    found += _between(table, rules)
    found += _references(table, rules, others or {})
    return sorted(found, key=lambda each: (-each.broken, each.rule))


def _whole(rule: str, table: pa.Table) -> Finding:
    return Finding(rule=rule, broken=table.num_rows, rows=table.num_rows, examples=())


def _finding(rule: str, mask: np.ndarray, values: list[Any]) -> Iterator[Finding]:
    places = np.flatnonzero(mask).tolist()
    if places:
        shown = tuple((place, str(values[place])) for place in places[:EXAMPLES])
        yield Finding(rule=rule, broken=len(places), rows=len(values), examples=shown)


def _column(name: str, column: pa.ChunkedArray, rule: ColumnRule) -> Iterator[Finding]:
    values = column.to_pylist()
    missing = np.array([value is None for value in values], bool)
    if rule.required:
        yield from _finding(f"{name}.required", missing, values)
    kind = kind_of(column.type)
    fits = kind == rule.type or (rule.type == "number" and kind == "whole") or missing.all()
    if not fits:
        yield from _finding(f"{name}.type", ~missing, values)
        return
    there = np.flatnonzero(~missing)
    if rule.unique:
        counts = Counter(value for value in values if value is not None)
        twice = np.array([value is not None and counts[value] > 1 for value in values], bool)
        yield from _finding(f"{name}.unique", twice, values)
    if kind in ("number", "whole", "time") and (rule.low is not None or rule.high is not None):
        numbers = np.full(len(values), np.nan)
        numbers[there] = as_numbers(column.drop_null())
        if rule.low is not None:
            yield from _finding(f"{name}.low", numbers < rule.low, values)
        if rule.high is not None:
            yield from _finding(f"{name}.high", numbers > rule.high, values)
    if rule.allowed is None and rule.pattern is None:
        return
    texts = as_texts(column.drop_null())
    if rule.allowed is not None:
        known = set(rule.allowed)
        yield from _finding(
            f"{name}.allowed", _spread([text not in known for text in texts], there, values), values
        )
    if rule.pattern is not None:
        whole = re.compile(rule.pattern)
        wrong = [whole.fullmatch(text) is None for text in texts]
        yield from _finding(f"{name}.pattern", _spread(wrong, there, values), values)


def _spread(flags: list[bool], there: np.ndarray, values: list[Any]) -> np.ndarray:
    mask = np.zeros(len(values), bool)
    mask[there] = flags
    return mask


def _between(table: pa.Table, rules: Rules) -> Iterator[Finding]:
    names = set(table.column_names)
    if rules.key and names >= set(rules.key):
        rows = list(zip(*(table.column(name).to_pylist() for name in rules.key), strict=True))
        counts = Counter(rows)
        yield from _finding("key", np.array([counts[row] > 1 for row in rows], bool), rows)
    for low, high in rules.orders:
        if names >= {low, high}:
            pairs = _pairs(table, low, high)
            wrong = [a is not None and b is not None and a > b for a, b in pairs]
            yield from _finding(f"{low} <= {high}", np.array(wrong, bool), pairs)
    for determinant, dependent in rules.decides:
        if names >= {determinant, dependent}:
            pairs = _pairs(table, determinant, dependent)
            usual: dict[Any, Counter[Any]] = {}
            for a, b in pairs:
                usual.setdefault(a, Counter())[b] += 1
            most = {a: counts.most_common(1)[0][0] for a, counts in usual.items()}
            wrong = [most[a] != b for a, b in pairs]
            yield from _finding(f"{determinant} decides {dependent}", np.array(wrong, bool), pairs)


def _references(table: pa.Table, rules: Rules, others: Mapping[str, pa.Table]) -> Iterator[Finding]:
    for each in rules.references:
        rule = f"{each.column} -> {each.table}.{each.key}"
        other = others.get(each.table)
        if other is None or each.key not in other.column_names:
            yield _whole(f"{rule}: the table or its key is not there", table)
        elif each.column in table.column_names:
            known = {*other.column(each.key).to_pylist(), None}
            values = table.column(each.column).to_pylist()
            wrong = np.array([value not in known for value in values], bool)
            yield from _finding(rule, wrong, values)


def _pairs(table: pa.Table, a: str, b: str) -> list[tuple[Any, Any]]:
    return list(zip(table.column(a).to_pylist(), table.column(b).to_pylist(), strict=True))
