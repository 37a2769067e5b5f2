"""Records made from other records: whose children they are stands in them, and held-out ones have none.

A child keeps its parent's source, place, time, licence, authority and subjects; its `meta` names parent,
operator and seed under `augmented`. What was dropped, is held out, or is a child itself has no children, so nothing
made from a record can stand on both sides of a split. Knows no operator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

from tenfold.data import record
from tenfold.errors import InputError

AUGMENTED = "augmented"
"""The key in `meta`."""
SPLIT = "split"
"""A column, or a key in `meta`: `heldout` records have no children, children are `train`."""
HELD_OUT = "heldout"


@dataclass(frozen=True, slots=True)
class Child:
    """A payload made from the record in `row`."""

    row: int
    payload: str | bytes
    operator: str
    """Name and version of what made it, `text.typos/1`."""
    seed: int
    """What its draws came from: the same operator, parent and seed make the same child."""


def seed_of(seed: int, record_id: str, operator: str, copy: int) -> int:
    """63 bits for the draws of one child; no child's draws depend on another's."""
    name = f"{seed}\0{record_id}\0{operator}\0{copy}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


def draws(seed: int) -> np.random.Generator:
    """The same numbers for the same seed on every machine."""
    return np.random.Generator(np.random.Philox(seed))


def parents(batch: pa.RecordBatch) -> list[int]:
    """Rows that may have children. Raises InputError where `meta` is no JSON object."""
    meta = metas(batch)
    drop = batch.column(record.DROP)
    has_split = batch.schema.get_field_index(SPLIT) >= 0
    split = batch.column(SPLIT).to_pylist() if has_split else [None] * batch.num_rows
    return [
        row
        for row in range(batch.num_rows)
        if not drop[row].is_valid
        and HELD_OUT not in (split[row], meta[row].get(SPLIT))
        and AUGMENTED not in meta[row]
    ]


def metas(batch: pa.RecordBatch) -> list[dict[str, object]]:
    """`meta` of every row as a mapping, empty where there is none. Raises InputError."""
    found: list[dict[str, object]] = []
    ids = batch.column(record.ID)
    for row, text in enumerate(batch.column(record.META).to_pylist()):
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise InputError("meta is not a JSON object", where=f"record {ids[row]}", seen=text)
        found.append(value)
    return found


def offspring(batch: pa.RecordBatch, children: Sequence[Child], payload: str) -> pa.RecordBatch:
    """A batch of `children`, with the columns of `batch`; what operators had annotated is null again.

    `payload`: the column, `record.TEXT` or `record.IMAGE`. A child that equals its parent, or one of its siblings, is
    left out: it would be a copy.
    """
    meta = metas(batch)
    ids, sources = batch.column(record.ID).to_pylist(), batch.column(record.SOURCE).to_pylist()
    seen = set(ids)
    kept: list[tuple[Child, str]] = []
    for child in children:
        raw = child.payload.encode() if isinstance(child.payload, str) else child.payload
        name = record.record_id(sources[child.row], raw)
        if name not in seen:
            seen.add(name)
            kept.append((child, name))
    inherited = batch.take(pa.array([child.row for child, _ in kept], pa.int64()))
    columns = []
    for field in batch.schema:
        if field.name == record.ID:
            column = pa.array([name for _, name in kept], field.type)
        elif field.name == payload:
            column = pa.array([child.payload for child, _ in kept], field.type)
        elif field.name == record.META:
            column = pa.array([_said(meta[child.row], child, ids) for child, _ in kept], field.type)
        elif field.name == SPLIT:
            column = pa.array(["train"] * len(kept), field.type)
        elif field.name in record.ABOUT.names:
            column = inherited.column(field.name)
        else:
            column = pa.nulls(len(kept), field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _said(meta: dict[str, object], child: Child, ids: Sequence[str]) -> str:
    made = {"parent": ids[child.row], "operator": child.operator, "seed": child.seed}
    return json.dumps({**meta, AUGMENTED: made}, sort_keys=True, ensure_ascii=False)


class TextMaker(Protocol):
    """An operator that makes other texts of a text."""

    name: ClassVar[str]
    version: ClassVar[str]

    @property
    def copies(self) -> int: ...

    @property
    def seed(self) -> int: ...

    def text(
        self, text: str, meta: Mapping[str, object], random: np.random.Generator
    ) -> str | None:
        """Another text, or None where none can be made."""
        ...


def texts(batch: pa.RecordBatch, maker: TextMaker) -> pa.RecordBatch:
    """The children of every text that may have some: `copies` of each at most."""
    meta, ids = metas(batch), batch.column(record.ID).to_pylist()
    payloads = batch.column(record.TEXT)
    children = []
    for row in parents(batch):
        text = payloads[row].as_py() or ""
        for copy in range(maker.copies if text else 0):
            seed = seed_of(maker.seed, ids[row], maker.name, copy)
            made = maker.text(text, meta[row], draws(seed))
            if made:
                children.append(Child(row, made, f"{maker.name}/{maker.version}", seed))
    return offspring(batch, children, record.TEXT)
