"""Rules drafted from a table: what every row of it keeps, as a proposal for a person to edit.

A draft is cautious: ranges have a margin, a short list of values counts as complete only when new ones have
become rare, a pattern must fit every value. Knows tables and the form of rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tenfold.data.synth import constraints, frame
from tenfold.data.tables.profile import as_numbers, as_texts, kind_of
from tenfold.data.tables.rules import ColumnRule, Reference, Rules

MAX_ALLOWED = 60
MAX_NEW_SHARE = 0.005
"""A list of values is complete when the Good-Turing share of unseen ones, N1/n, is at most this."""
MIN_ROWS = 20
MARGIN = 0.1
"""Ranges reach beyond what was seen by this share of it, but not below zero where nothing was."""
_RUN = re.compile(r"0+|A+|a+|[^0Aa]")


def draft(table: pa.Table, others: Mapping[str, pa.Table] | None = None) -> Rules:
    """Rules that `table` keeps. `others`: tables whose keys its columns may refer to, by name."""
    columns = {name: _column(table.column(name)) for name in table.column_names}
    keys = [name for name, rule in columns.items() if rule.unique and rule.required]
    plain = [
        name
        for name in table.column_names
        if not pa.types.is_nested(table.column(name).type)
        and not pa.types.is_binary(table.column(name).type)
    ]
    found = constraints.find(table, frame.columns(table.select(plain)))
    return Rules(
        columns=columns,
        key=tuple(keys[:1]),
        orders=tuple((r.low, r.high) for r in found if isinstance(r, constraints.AtMost)),
        decides=tuple(
            (r.determinant, r.dependent) for r in found if isinstance(r, constraints.Dependency)
        ),
        references=tuple(_references(table, others or {})),
    )


def _column(column: pa.ChunkedArray) -> ColumnRule:
    kind = kind_of(column.type)
    present = column.drop_null()
    rows = len(present)
    required = column.null_count == 0 and rows >= MIN_ROWS
    if kind in ("number", "whole", "time"):
        numbers = as_numbers(present)
        unique = kind == "whole" and rows >= MIN_ROWS and len(np.unique(numbers)) == rows
        if rows < MIN_ROWS:
            return ColumnRule(type=kind, required=required)
        low, high = _range(numbers, whole=kind == "whole")
        # A key grows: its range says nothing about the next one.
        return ColumnRule(
            type=kind, required=required, unique=unique,
            low=None if unique else low, high=None if unique else high,
        )  # fmt: skip
    if kind == "truth":
        return ColumnRule(type=kind, required=required)
    texts = as_texts(present)
    distinct, counts = np.unique(np.array(texts, dtype=object).astype(str), return_counts=True)
    unique = rows >= MIN_ROWS and len(distinct) == rows
    allowed = None
    if (
        rows >= MIN_ROWS
        and len(distinct) <= MAX_ALLOWED
        and (counts == 1).sum() <= MAX_NEW_SHARE * rows
    ):
        allowed = tuple(str(value) for value in distinct)
    pattern = None if allowed or rows < MIN_ROWS else _pattern(distinct.tolist())
    return ColumnRule(type=kind, required=required, unique=unique, allowed=allowed, pattern=pattern)


def _range(numbers: np.ndarray, *, whole: bool) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    margin = MARGIN * (high - low)
    wide_low, wide_high = low - margin, high + margin
    if low >= 0:
        wide_low = max(0.0, wide_low)
    if high <= 0:
        wide_high = min(0.0, wide_high)
    if whole:
        return float(np.floor(wide_low)), float(np.ceil(wide_high))
    return wide_low, wide_high


def _pattern(texts: list[str]) -> str | None:
    """The one sequence of runs (digits, capitals, letters, other signs) that all texts have."""
    shapes = {"|".join(_runs(text)) for text in texts}
    if len(shapes) != 1:
        return None
    lengths = [[len(run) for run in _pieces(text)] for text in texts]
    least, most = np.min(lengths, axis=0), np.max(lengths, axis=0)
    parts = []
    for run, low, high in zip(_runs(texts[0]), least.tolist(), most.tolist(), strict=True):
        base = {"0": r"\d", "A": "[A-Z]", "a": "[a-z]"}.get(run)
        if base is None:
            parts.append(re.escape(run))
        else:
            count = f"{{{low}}}" if low == high else f"{{{low},{high}}}"
            parts.append(base + ("" if low == high == 1 else count))
    return "".join(parts)


def _masked(text: str) -> str:
    return re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub(r"[0-9]", "0", text)))


def _pieces(text: str) -> list[str]:
    return _RUN.findall(_masked(text))


def _runs(text: str) -> list[str]:
    return [piece[0] for piece in _pieces(text)]


def _references(table: pa.Table, others: Mapping[str, pa.Table]) -> list[Reference]:
    """Columns all of whose values stand in a key of another table, which shares their name or its own."""
    found = []
    for other_name, other in others.items():
        for key in other.column_names:
            values = other.column(key).to_pylist()
            known = set(values)
            if len(known) != len(values) or None in known:
                continue
            for column in table.column_names:
                if table.column(column).type != other.column(key).type:
                    continue
                named = column in (
                    key,
                    f"{other_name}_{key}",
                    f"{other_name.rstrip('s')}_{key}",
                    other_name,
                )
                present = set(table.column(column).to_pylist()) - {None}
                if named and present and present <= known:
                    found.append(Reference(column=column, table=other_name, key=key))
    return found
