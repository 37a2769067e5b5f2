"""Records one by one -> record batches of bounded size. Knows the columns of records, no format."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from tenfold.data import record
from tenfold.data.sources.connector import Item, Quarantined
from tenfold.data.sources.integration import REPAIRED
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.shape import Shape


@dataclass(slots=True)
class Found:
    """One record as a format found it: text, the bytes of an image, or a row's columns."""

    place: str
    payload: str | bytes | dict[str, Any]
    time: datetime.datetime | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    repaired: tuple[str, ...] = ()
    licence: str | None = None
    """Its own, where it has one."""


class Packer:
    """Collects what was found and gives it out in batches, in order; unfit rows come out quarantined."""

    def __init__(
        self, source: str, licence: str, authority: float, limits: Limits, shape: Shape | None
    ) -> None:
        self._source, self._licence, self._authority = source, licence, authority
        self._limits, self._shape = limits, shape
        self._found: list[Found] = []
        self._payloads: list[bytes] = []
        self._metas: list[bytes | None] = []
        self._bytes = 0

    def add(self, found: Found | Quarantined) -> Iterator[Item]:
        """What is ready now: nothing most of the time."""
        if isinstance(found, Quarantined):
            yield from self.flush()  # the order of the source
            yield found
            return
        payload = found.payload
        try:
            if isinstance(payload, str):
                packed = payload.encode()
            else:
                packed = payload if isinstance(payload, bytes) else as_json(payload)
            meta = _meta(found)
        except (RecursionError, UnicodeEncodeError) as error:
            cause = "nesting" if isinstance(error, RecursionError) else "encoding"
            yield from self.add(Quarantined(found.place, cause, f"no record can hold it: {error}"))
            return
        self._found.append(found)
        self._payloads.append(packed)
        self._metas.append(meta)
        self._bytes += len(packed)
        if len(self._found) >= self._limits.rows or self._bytes >= self._limits.row_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[Item]:
        found, payloads, metas = self._found, self._payloads, self._metas
        if not found:
            return
        self._found, self._payloads, self._metas, self._bytes = [], [], [], 0
        sample = found[0].payload
        refused: list[Quarantined] = []
        if isinstance(sample, dict):
            assert self._shape is not None
            column, fits = self._shape.column([one.payload for one in found])  # type: ignore[misc]
            if fits is not None:
                refused = [
                    Quarantined(one.place, "column_type", fault, packed)
                    for one, packed, fault in zip(found, payloads, fits, strict=True)
                    if fault is not None
                ]
                keep = [index for index, fault in enumerate(fits) if fault is None]
                found, payloads = [found[i] for i in keep], [payloads[i] for i in keep]
                metas = [metas[i] for i in keep]
            for index, one in enumerate(found):
                if self._shape.spill(one.payload, one.meta):  # type: ignore[arg-type]
                    metas[index] = _meta(one)
            modality = "row"
        elif isinstance(sample, str):
            column, modality = pa.array(payloads, pa.string()), "text"
        else:
            column, modality = pa.array(payloads, pa.binary()), "image"
        if found:
            yield self._batch(found, payloads, metas, column, modality)
        yield from refused

    def _batch(
        self,
        found: list[Found],
        payloads: list[bytes],
        metas: list[bytes | None],
        column: pa.Array,
        modality: str,
    ) -> pa.RecordBatch:
        count, source = len(found), self._source
        schema = record.schema(modality, column.type if modality == "row" else None)
        columns = {
            record.ID: pa.array([record.record_id(source, packed) for packed in payloads]),
            record.SOURCE: pa.repeat(source, count),
            record.PLACE: pa.array([one.place for one in found], pa.string()),
            record.MODALITY: pa.repeat(modality, count),
            record.TIME: pa.array([one.time for one in found], pa.timestamp("us", tz="UTC")),
            record.LICENCE: pa.array([one.licence or self._licence for one in found]),
            record.AUTHORITY: pa.repeat(pa.scalar(self._authority, pa.float32()), count),
            record.SUBJECTS: pa.nulls(count, pa.list_(pa.binary())),
            record.META: pa.array(metas, pa.string()),
            record.DROP: pa.nulls(count, pa.string()),
            modality: column,
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _meta(found: Found) -> bytes | None:
    meta = found.meta
    if found.repaired:
        meta = {**meta, REPAIRED: list(found.repaired)}
    return as_json(meta) if meta else None


_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def as_json(value: Mapping[str, Any]) -> bytes:
    """The same fields and values, the same bytes, whatever their order. Raises RecursionError."""
    try:
        return orjson.dumps(value, default=plain, option=_OPTIONS)
    except TypeError:  # integers of more than 64 bits, or deeper than orjson goes
        text = json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False)
        return text.encode("utf-8", "replace")


def plain(value: Any) -> Any:
    """What JSON has no word for: bytes as hex, all else as it prints."""
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
