"""`pii.pseudonymise`: every find becomes a keyed stand-in of the same format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from tenfold.core import pii
from tenfold.core.pii.find import replaced
from tenfold.data import record
from tenfold.data.operator import with_column
from tenfold.data.privacy.recognise import checked_kinds
from tenfold.data.privacy.stand_ins import stand_in
from tenfold.data.privacy.subject_key import SubjectKey
from tenfold.data.privacy.texts import Texts, exchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiPseudonymise:
    """`pii.pseudonymise.spans` counts the finds exchanged (int32). The key stands in a stage's key as its
    fingerprint."""

    name: ClassVar[str] = "pii.pseudonymise"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.ROW)
    writes: ClassVar[tuple[str, ...]] = (record.TEXT, record.ROW, "pii.pseudonymise.spans")
    key: SubjectKey
    kinds: tuple[str, ...] = pii.KINDS

    def __post_init__(self) -> None:
        checked_kinds(self.kinds)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        counts = [0] * batch.num_rows

        def exchange(texts: Texts) -> list[str | None]:
            made: list[str | None] = []
            for row, spans in enumerate(pii.find_many([t or "" for t in texts], self.kinds)):
                text = texts[row]
                if spans and text is not None:
                    counts[row] += len(spans)
                    text = replaced(text, spans, [stand_in(self.key, span) for span in spans])
                made.append(text)
            return made

        batch = exchanged(batch, exchange)
        return with_column(batch, f"{self.name}.spans", pa.array(counts, pa.int32()))
