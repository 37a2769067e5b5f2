"""`subjects`: whom a record speaks of, as keyed hashes. From declared columns of rows, and from what is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tenfold.core import pii
from tenfold.data import record
from tenfold.data.operator import with_column
from tenfold.data.privacy.forms import forms
from tenfold.data.privacy.recognise import checked_kinds
from tenfold.data.privacy.subject_key import SubjectKey
from tenfold.data.privacy.texts import columns
from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Fills the column `subjects` (16-byte HMACs, sorted, each once); what stood there before stays."""

    name: ClassVar[str] = "subjects"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.SUBJECTS, record.TEXT, record.ROW)
    writes: ClassVar[tuple[str, ...]] = (record.SUBJECTS,)
    key: SubjectKey
    declared: tuple[tuple[str, ...], ...] = ()
    """Groups of columns that together name a person: `(("email",), ("given_name", "surname"))`. A group with
    an empty value names nobody."""
    found: tuple[str, ...] = ("email", "phone")
    """Kinds whose finds, in any text, name a person."""

    def __post_init__(self) -> None:
        checked_kinds(self.found)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        named: list[set[bytes]] = [
            set(before or ()) for before in batch.column(record.SUBJECTS).to_pylist()
        ]
        if record.ROW in batch.schema.names:
            for row, form in self._declared(batch.column(record.ROW)):
                named[row].add(self.key.subject(form))
        for texts in columns(batch) if self.found else ():
            plain = [text or "" for text in texts.to_pylist()]
            for row, spans in enumerate(pii.find_many(plain, self.found)):
                for span in spans:
                    named[row].update(map(self.key.subject, forms(span.kind, span.text)))
        values = pa.array([sorted(keys) for keys in named], pa.list_(pa.binary()))
        return with_column(batch, record.SUBJECTS, values)

    def _declared(self, rows: pa.StructArray) -> Iterator[tuple[int, str]]:
        """(row, form). A group of one column is known by what it holds, so that a look-up needs no name."""
        have = {field.name for field in rows.type}
        for group in self.declared:
            for name in group:
                if name not in have:
                    raise ConfigError(
                        "no such column to name a person by",
                        seen=name,
                        hint=", ".join(sorted(have)),
                    )
            parts = [pc.cast(rows.field(name), pa.string()).to_pylist() for name in group]
            for row, values in enumerate(zip(*parts, strict=True)):
                if all(values):
                    for form in declared_forms(values):
                        yield row, form


def declared_forms(values: tuple[str, ...]) -> tuple[str, ...]:
    """Of the values of one group of columns; of a single one also as what it is by its look."""
    text = " ".join(value.strip() for value in values)
    made = forms("id", text)
    if len(values) == 1:
        for span in pii.find(text, ("email", "phone")):
            if (span.start, span.end) == (0, len(text)):
                made += forms(span.kind, text)
    return made
