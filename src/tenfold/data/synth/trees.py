"""Sequential trees: rows made column by column, each from donors that look alike so far.

Reiter (2005) and synthpop (Nowok, Raab, Dibben 2016) draw leaves of a CART per column; so does this. Beyond
them: single numbers are moved (`smooth`), continuous columns follow a line first (`linear`), functional
dependencies and orders between columns hold by construction, and rows whose donors could all be one training
row are redrawn until no more are left than chance brings (`copies.rare`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tenfold.data.synth import LEAF_ROWS, TREES, constraints, copies, frame, identifiers
from tenfold.data.synth.frame import Column
from tenfold.data.synth.node import Node, node
from tenfold.data.synth.order import column_order
from tenfold.errors import InputError

MIN_ROWS = 20
REDRAWS = 12


@dataclass(frozen=True, slots=True)
class Chain:
    """Fitted trees in the order in which they make columns."""

    nodes: tuple[Node, ...]
    columns: Mapping[str, Column]
    identifiers: Mapping[str, identifiers.Shapes]
    schema: pa.Schema
    rare: np.ndarray
    """Keys of the training rows that stand a few times at most."""
    allowed: float
    """The share of fresh rows that may be a copy of one of them."""

    def sample(self, num_rows: int, seed: int) -> pa.Table:
        """Fresh rows with the schema of the training table."""
        rng = np.random.default_rng(seed)
        values, donors = self._rows(num_rows, rng, {}, {}, 0)
        self._redraw_copies(values, donors, rng)
        arrays = {
            name: self.identifiers[name].sample(num_rows, rng)
            if name in self.identifiers
            else frame.decoded(self.columns[name], values[name])
            for name in self.schema.names
        }
        fields = [arrays[field.name].cast(field.type) for field in self.schema]
        return pa.Table.from_arrays(fields, schema=self.schema)

    def _rows(
        self,
        num_rows: int,
        rng: np.random.Generator,
        values: dict[str, np.ndarray],
        donors: dict[str, np.ndarray],
        first: int,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Columns from place `first` on; those before stand in `values` and `donors`."""
        for each in self.nodes[first:]:
            values[each.name], donors[each.name] = each.draw(values, num_rows, rng)
        return values, donors

    def _redraw_copies(
        self, values: dict[str, np.ndarray], donors: dict[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Draw the later half of too many copies again: the earlier half keeps its distribution."""
        names = [each.name for each in self.nodes]
        num_rows = len(values[names[0]])
        allowed = int(self.allowed * num_rows)
        for attempt in range(REDRAWS):
            keys = _keys([donors[name] for name in names])
            again = np.flatnonzero(copies.is_copy(keys, self.rare))
            if len(again) <= allowed:
                return
            again = rng.permutation(again)[: len(again) - allowed]
            first = len(names) // 2 if attempt < REDRAWS // 2 else 0
            part, given = self._rows(
                len(again),
                rng,
                {name: values[name][again] for name in names[:first]},
                {name: donors[name][again] for name in names[:first]},
                first,
            )
            for name in names:
                values[name][again] = part[name]
                donors[name][again] = given[name]


def fit(
    table: pa.Table,
    *,
    leaf: int = LEAF_ROWS,
    trees: int = TREES,
    order: Sequence[str] = (),
    seed: int = 0,
) -> Chain:
    """The chain of a table of 20 rows or more. `leaf`: fewest training rows alike; `order`: columns first.

    Raises InputError for too few rows and for columns that cannot be modelled.
    """
    if table.num_rows < MIN_ROWS:
        raise InputError("too few rows to learn from", seen=table.num_rows, hint="20 at least")
    every = frame.columns(table)
    shapes = {
        name: identifiers.shapes(column)
        for name, column in every.items()
        if identifiers.is_identifier(column)
    }
    columns = {name: column for name, column in every.items() if name not in shapes}
    if not columns:
        raise InputError("every column is an identifier", seen=sorted(shapes))
    names = column_order(columns, [name for name in order if name not in shapes])
    rules = constraints.find(table.select(names), columns)
    names = _deciding_first(names, rules)
    nodes: list[Node] = []
    for place, name in enumerate(names):
        nodes.append(
            node(
                columns[name],
                [columns[before] for before in names[:place]],
                rules,
                leaf=leaf,
                trees=trees,
                seed=seed,
            )
        )
    rare, allowed = copies.rare(_keys([each.codes for each in nodes]))
    return Chain(
        tuple(nodes),
        columns,
        shapes,
        table.schema.remove_metadata(),
        rare,
        allowed,
    )


def _deciding_first(names: list[str], rules: Sequence[constraints.Constraint]) -> list[str]:
    """The same columns, each after one that decides it: only then its values can be looked up."""
    pairs = {
        (rule.determinant, rule.dependent)
        for rule in rules
        if isinstance(rule, constraints.Dependency)
    }
    names = list(names)
    for _ in names:
        for determinant, dependent in sorted(pairs):
            one_way = (dependent, determinant) not in pairs
            if one_way and names.index(determinant) > names.index(dependent):
                names.remove(determinant)
                names.insert(names.index(dependent), determinant)
    return names


def _keys(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) object: the codes of a row as bytes."""
    rows = np.ascontiguousarray(np.stack(columns, axis=1).astype(np.int32))
    return np.array([row.tobytes() for row in rows], dtype=object)
