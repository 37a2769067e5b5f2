"""Parquet files, row group by row group: a broken one costs itself, not the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.image_files import image
from tenfold.data.sources.moment import moment
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream

_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFiles(FileSource):
    """`kind: parquet`. Places: `file#row=7`, from 1 over the whole file; a row group: `file#group=2`."""

    modality: Literal["text", "image", "row"] = "row"
    field: str = "text"
    """The column that is the text or the image's bytes; the others are meta."""
    time_field: str | None = None
    licence_field: str | None = None

    MATCH: ClassVar[tuple[str, ...]] = ("*.parquet", "*.pq")

    def shape(self) -> Shape | None:
        return Shape() if self.modality == "row" else None

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        source = stream.random_access()
        if isinstance(source, Quarantined):
            yield source
            return
        try:
            file = pq.ParquetFile(source)
            schema = file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            yield _broken(stream.place, error)
            return
        names = schema.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            fact = f"columns named twice: {', '.join(twice)}"[:300]
            yield Quarantined(stream.place, "duplicate_columns", fact)
            return
        if shape is not None and shape.type is None:
            shape.fix(pa.struct([(field.name, _plain_type(field.type)) for field in schema]))
        number = 1
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            place, begin = f"{stream.place}#group={group + 1}", number
            number += about.num_rows
            if about.num_rows == 0:
                continue
            average = max(about.total_byte_size // about.num_rows, 1)
            if average > self.limits.record_bytes:
                yield Quarantined(place, "too_long", f"rows of {average} bytes")
                continue
            rows = max(1, min(_ROWS, self.limits.row_bytes // average))
            done = begin
            try:
                for batch in file.iter_batches(batch_size=rows, row_groups=[group], use_threads=False):
                    for value in batch.to_pylist():
                        yield self._record(value, f"{stream.place}#row={done}")
                        done += 1
            except (pa.ArrowException, OSError, ValueError) as error:
                fact = f"rows {done} to {number - 1} cannot be read: {error}"
                yield Quarantined(place, "corrupt", fact[:300])

    def _record(self, value: dict[str, Any], place: str) -> Found | Quarantined:
        if self.modality == "image":
            return self._image(dict(value), place)
        text = self.field if self.modality == "text" else None
        return Fields(text=text, time=self.time_field, licence=self.licence_field).record(value, place)

    def _image(self, value: dict[str, Any], place: str) -> Found | Quarantined:
        held = value.pop(self.field, None)
        if isinstance(held, dict):  # as Hugging Face's datasets keep images: {bytes, path}
            held, value["path"] = held.get("bytes"), held.get("path")
        if not isinstance(held, bytes):
            return Quarantined(place, "field", f"no bytes of an image under {self.field!r}")
        made = image(held, place, self.limits)
        if isinstance(made, Found):
            made.meta.update(value)
            made.time = moment(value.get(self.time_field or "")) or made.time
        return made


def _broken(place: str, error: Exception) -> Quarantined:
    return Quarantined(place, "corrupt", f"no whole Parquet file: {error}"[:300])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Dictionaries and views become what they stand for: batches of one reading have one schema."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    return pa.string() if pa.types.is_decimal(kind) else kind
