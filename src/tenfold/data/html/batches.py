"""Web pages in a batch of records become their main text, with what the pages say about themselves.

For pages that came as text: the markup is what `text` holds. Pages whose bytes are at hand (files, WARC) go
through `main_text` where they are read. Knows records and `main_text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tenfold.data import operator, record
from tenfold.data.html.main_text import main_text

_MARKUP = r"(?is)^\s*<(!doctype|html|head|body|!--|\?xml|div|article|meta|title|script|p\b|table)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlMainText:
    """Replaces markup by its main text; text that is no markup stays as it is, with null beside it.

    Columns: `html.title`, `html.date` (UTC), `html.language` as the page says, `html.kept`: bytes of main text
    per byte of page. A page without main text keeps its markup and is dropped as `html.<cause>`, with the
    causes of MainText.
    """

    name: ClassVar[str] = "html"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = (
        record.TEXT, record.DROP, "html.title", "html.date", "html.language", "html.kept",
    )  # fmt: skip

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column(record.TEXT)
        pages = pc.and_(
            pc.fill_null(pc.match_substring_regex(texts, _MARKUP), False),
            pc.is_null(batch.column(record.DROP)),
        )
        said = texts.to_pylist()
        found = [
            main_text(text.encode(), "utf-8") if page else None
            for text, page in zip(said, pages.to_pylist(), strict=True)
        ]
        kept = [
            len(main.text.encode()) / len(text.encode()) if main else None
            for main, text in zip(found, said, strict=True)
        ]
        made = [
            main.text if main and not main.cause else text
            for main, text in zip(found, said, strict=True)
        ]
        columns = {
            record.TEXT: pa.array(made, texts.type),
            "html.title": pa.array([main and main.title for main in found], pa.string()),
            "html.date": pa.array(
                [main and main.date for main in found], pa.timestamp("us", tz="UTC")
            ),
            "html.language": pa.array([main and main.language for main in found], pa.string()),
            "html.kept": pa.array(kept, pa.float32()),
        }
        for name, values in columns.items():
            batch = operator.with_column(batch, name, values)
        causes = [main.cause if main else None for main in found]
        for cause in sorted({cause for cause in causes if cause}):
            fires = pa.array([one == cause for one in causes])
            batch = operator.dropped(batch, fires, f"{self.name}.{cause}")
        return batch
