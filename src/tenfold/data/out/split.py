"""Which records are held out: decided by the record's id, so that it holds for everybody and for ever.

A record keeps its side when others come and go. What belongs together is on one side: a duplicate goes where the
record goes that stays for it (`data.dedup` before this), a child where its parent goes. What its source says of a
record (`meta.split`) goes before all. Knows no file and no tokens.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import operator, record
from tenfold.errors import ConfigError

SPLIT = "split"
TRAIN, HELDOUT = "train", "heldout"
SPLITS = (TRAIN, HELDOUT)
TWIN = "dedup.twin"
"""Of a duplicate: the id of the record that stays for it."""

_SAID = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("heldout", "test", "validation", "valid", "val", "dev", "eval"), HELDOUT),
}
"""What sources call their splits; another word says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Writes `split`: `train` or `heldout`."""

    name: ClassVar[str] = "split"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.ID, record.META)
    writes: ClassVar[tuple[str, ...]] = (SPLIT,)

    heldout_share: float = 0.05
    """Of the records whose source says nothing, 0 to 0.5."""

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_share <= 0.5:
            raise ConfigError("heldout_share must be between 0 and 0.5", seen=self.heldout_share)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return operator.with_column(batch, SPLIT, self.sides(batch))

    def sides(self, batch: pa.RecordBatch) -> pa.Array:
        """string (num_rows,): TRAIN or HELDOUT"""
        limit = int(self.heldout_share * 2**64)
        metas = _metas(batch.column(record.META))
        ids = batch.column(record.ID).to_pylist()
        known = batch.schema.get_field_index(TWIN) >= 0
        twins = batch.column(TWIN).to_pylist() if known else [None] * len(ids)
        found = []
        for own, twin, meta in zip(ids, twins, metas, strict=True):
            said = meta.get(SPLIT)
            side = _SAID.get(said.lower()) if isinstance(said, str) else None
            if side is None:
                side = HELDOUT if _drawn(twin or _parent(meta) or own) < limit else TRAIN
            found.append(side)
        return pa.array(found, pa.string())


def sides_of(batch: pa.RecordBatch, rule: Split) -> pa.Array:
    """As an earlier operator wrote them; where none did, by `rule`."""
    if batch.schema.get_field_index(SPLIT) < 0:
        return rule.sides(batch)
    written = batch.column(SPLIT)
    return written if not written.null_count else pc.coalesce(written, rule.sides(batch))


def columns_for(names: list[str]) -> list[str]:
    """What `sides_of` wants to see of a segment that has the columns `names`."""
    return [record.ID, record.META, *(name for name in (SPLIT, TWIN) if name in names)]


def _drawn(group: str) -> int:
    """64 bits; not those of the id itself, which decide where segments end."""
    return int.from_bytes(hashlib.sha256(b"split\0" + group.encode()).digest()[:8], "big")


def _parent(meta: dict[str, object]) -> str | None:
    made = meta.get("augmented")
    parent = made.get("parent") if isinstance(made, dict) else None
    return parent if isinstance(parent, str) else None


def _metas(column: pa.Array) -> list[dict[str, object]]:
    """Of records whose meta speaks of splits or parents; of the others an empty one."""
    wanted = pc.fill_null(pc.match_substring_regex(column, '"split"|"augmented"'), False)
    found: list[dict[str, object]] = []
    for text, told in zip(column.to_pylist(), wanted.to_pylist(), strict=True):
        try:
            plain = json.loads(text) if told else {}
        except ValueError:  # not for an operator of splits to judge
            plain = {}
        found.append(plain if isinstance(plain, dict) else {})
    return found
