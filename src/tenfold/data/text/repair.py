"""The operator `repair`: text that was decoded wrongly is put right, by ftfy, where something looks wrong.

ftfy is exact and slow; a kernel reads every byte first and only lines in which ftfy could change anything go to it.
ftfy works line by line but for one thing: once a `<` was seen, HTML entities are left alone to the end of the
text, so that switch is carried along. Knows what makes a line suspicious, and nothing of how it is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from tenfold.data import operator, record
from tenfold.data.text import buffers
from tenfold.errors import ConfigError

_SEGMENT = 1_000_000
"""ftfy cuts longer lines after this many characters (max_decode_length)."""
_QUIET, _LOUD, _SURE, _CURLY = 1, 2, 3, 4
_QUOTES = {**dict.fromkeys(range(0x2018, 0x201C), "'"), **dict.fromkeys(range(0x201C, 0x2020), '"')}
"""What ftfy's uncurl_quotes makes of them."""
_TAG, _ONLY_QUOTES = 1, 2
"""Of a suspicious line: a `<` came before it; nothing in it but quotes is to be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Rewrites `text` as `ftfy.fix_text` would; writes `repair.lines`, how many lines changed.

    Rows with a cause already are left alone.
    """

    name: ClassVar[str] = "repair"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = (record.TEXT, "repair.lines")

    form: Literal["encoding", "full"] = "encoding"
    """`encoding`: only what is broken (mojibake, entities, control characters), as datatrove runs ftfy;
    `full`: ftfy's own defaults, which also straighten quotes, ligatures, widths, line ends and compose (NFC)."""

    def __post_init__(self) -> None:
        if self.form not in ("encoding", "full"):
            raise ConfigError("form is encoding or full", seen=self.form)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column(record.TEXT)
        data, offsets = buffers.views(texts)
        judged = batch.column(record.DROP).is_null().to_numpy(zero_copy_only=False)
        rows, starts, ends, seen = suspicious(data, offsets, judged, form=self.form)
        counts = np.zeros(len(texts), dtype=np.int32)
        if len(rows):
            texts = _mended(texts, data, offsets, rows, starts, ends, seen, self.form, counts)
            batch = operator.with_column(batch, record.TEXT, texts)
        return operator.with_column(batch, "repair.lines", pa.array(counts, mask=~judged))


def suspicious(
    data: buffers.Bytes, offsets: buffers.Offsets, rows: buffers.Rows, *, form: str
) -> tuple[npt.NDArray[np.int64], ...]:
    """The lines ftfy may change: their row, first byte, byte after the last, and what of `_TAG` and `_ONLY_QUOTES` holds."""
    marks = _marks(form)
    return _suspicious(data, offsets, rows, marks, form == "full")  # type: ignore[no-any-return]


def _mended(
    texts: pa.Array, data: buffers.Bytes, offsets: buffers.Offsets, rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], form: str,
    counts: npt.NDArray[np.int32],
) -> pa.Array:  # fmt: skip
    """The column with its suspicious lines mended; a line at a time, so only those are ever Python strings."""
    import ftfy

    settings = {html: ftfy.TextFixerConfig(**_settings(form, html)) for html in (False, True)}
    changed: dict[int, list[tuple[int, int, bytes]]] = {}
    for row, start, end, tag in zip(
        rows.tolist(), starts.tolist(), ends.tolist(), seen.tolist(), strict=True
    ):
        line = data[start:end].tobytes()
        if tag & _ONLY_QUOTES:
            fixed = line.decode().translate(_QUOTES).encode()
        else:  # a switch that falls inside the line is ftfy's own to see
            fixed = ftfy.fix_text(line.decode(), settings[not (tag & _TAG)]).encode()
        if fixed != line:
            changed.setdefault(row, []).append((start, end, fixed))
            counts[row] += 1
    fresh: dict[int, str] = {}
    for row, lines in changed.items():
        parts, at = [], int(offsets[row])
        for start, end, fixed in lines:
            parts += [data[at:start].tobytes(), fixed]
            at = end
        fresh[row] = b"".join([*parts, data[at : int(offsets[row + 1])].tobytes()]).decode()
    return buffers.with_rows(texts, fresh)


def _settings(form: str, html: bool) -> dict[str, Any]:
    """What ftfy is told; `html`: entities may still be unescaped."""
    entities: dict[str, Any] = {"unescape_html": "auto" if html else False, "explain": False}
    if form == "full":
        return entities
    return {
        **entities,
        "fix_latin_ligatures": False,
        "fix_character_width": False,
        "uncurl_quotes": False,
        "fix_line_breaks": False,
        "normalization": None,
    }


@cache
def _marks(form: str) -> npt.NDArray[np.uint8]:
    """Of each character up to U+FFFF: nothing, or a part in pairs that may be mojibake (quiet ones only beside
    loud ones: quotes and dashes stand together in any novel), or sure to be looked at."""
    marks = np.zeros(0x10000, dtype=np.uint8)
    marks[0x80:0x250] = _LOUD
    marks[0x2B0:0x300] = _LOUD
    marks[0x370:0x530] = _LOUD
    marks[0x2000:0x2600] = _LOUD
    marks[[0xF8FF, 0xFFFD, *range(0xFB00, 0xFB07)]] = _LOUD
    marks[[0xA0, 0x2022, 0x2026, *range(0x2010, 0x2016), *range(0x2018, 0x2020)]] = _QUIET
    marks[0x80:0xA0] = _SURE
    marks[[0xC2, 0xC3, 0x152, 0x153]] = _SURE  # also bad beside a blank or a letter
    marks[[*range(0x206A, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFD)]] = _SURE  # control characters
    marks[0xD800:0xE000] = _SURE
    if form == "full":
        marks[0x80:] = _SURE
        # These it leaves as they are, or only straightens.
        marks[[0xA0, 0x2022, 0x2026, *range(0x2012, 0x2016)]] = _QUIET
        marks[list(_QUOTES)] = _CURLY
    return marks


@njit(cache=True, nogil=True)
def _entity(data, at, end):
    """Whether an HTML entity begins at the ampersand: up to 24 letters or digits, then a semicolon."""
    at += 1
    if at < end and data[at] == 35:
        at += 1
    size = 0
    while at < end and size <= 24:
        byte = data[at]
        if byte == 59:
            return size > 0
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122):
            return False
        at += 1
        size += 1
    return False


@njit(cache=True, nogil=True)
def _suspicious(data, offsets, rows, marks, full):
    found_rows, found_starts, found_ends, found_tags = (
        [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)],
        [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)],
    )  # fmt: skip
    for row in range(len(rows)):
        if not rows[row]:
            continue
        end = offsets[row + 1]
        start = offsets[row]
        tag = False  # a < has come in an earlier line
        while start < end:
            at, suspect, entity, here, curly = start, False, False, False, False
            last = 0
            while at < end:
                byte = data[at]
                if byte < 0x80:
                    last = 0
                    if byte >= 0x40:
                        suspect = suspect or byte == 0x7F
                    elif byte < 0x20:
                        if byte == 10:
                            at += 1
                            break
                        suspect = suspect or (byte != 9 and byte != 12 and (byte != 13 or full))
                    elif byte == 0x3C:
                        here = True
                    elif byte == 0x26 and not (tag or here or entity):
                        entity = _entity(data, at, end)
                    at += 1
                    continue
                if byte < 0xE0:
                    code = ((np.int64(byte) & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F)
                    at += 2
                elif byte < 0xF0:
                    code = (
                        ((np.int64(byte) & 0x0F) << 12) | ((np.int64(data[at + 1]) & 0x3F) << 6)
                        | (np.int64(data[at + 2]) & 0x3F)
                    )  # fmt: skip
                    at += 3
                else:
                    code = 0xFFFF
                    at += 4
                    suspect = suspect or full
                mark = marks[code]
                if mark == _CURLY:
                    curly, mark = True, _QUIET
                suspect = suspect or mark == _SURE or (last > 0 and mark + last >= _SURE)
                last = mark
            # Lines so long that ftfy cuts them may turn the switch half-way.
            mend = suspect or (entity and (not (tag or here) or at - start > _SEGMENT))
            if mend or curly:
                found_rows.append(np.int64(row))
                found_starts.append(start)
                found_ends.append(at)
                found_tags.append(np.int64(tag) * _TAG | np.int64(not mend) * _ONLY_QUOTES)
            tag = tag or here
            start = at
    return (
        np.array(found_rows, dtype=np.int64), np.array(found_starts, dtype=np.int64),
        np.array(found_ends, dtype=np.int64), np.array(found_tags, dtype=np.int64),
    )  # fmt: skip
