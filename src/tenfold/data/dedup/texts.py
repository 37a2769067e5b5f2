"""Texts as the bytes that Arrow holds, decoded inside kernels. Knows buffers, not what is done with them."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import pyarrow as pa

from tenfold.data.dedup.alphabet import ALONE, BLANK, WITHIN, alphabet


class Texts(NamedTuple):
    """UTF-8 of all texts, one after the other, without a copy where Arrow allows it."""

    data: np.ndarray
    """uint8 (num_bytes,), read-only: kernels are compiled once for it, as Arrow's buffers are"""
    offsets: np.ndarray
    """int64 (num_texts + 1,)"""


def texts_of(column: pa.Array | pa.ChunkedArray) -> Texts:
    """The column's bytes. A null is an empty text. Raises TypeError for other than strings."""
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TypeError(f"strings are needed, not {kind}")
    if column.null_count:
        column = column.fill_null("")
    if isinstance(column, pa.ChunkedArray):
        # 32-bit offsets hold 2 GiB in one piece.
        column = column.cast(pa.large_string()).combine_chunks()
        kind = pa.large_string()
    _, offsets, data = column.buffers()
    width = np.int64 if pa.types.is_large_string(kind) else np.int32
    if offsets is None or len(column) == 0:
        return Texts(np.frombuffer(b"", np.uint8), np.zeros(1, np.int64))
    start = column.offset
    ends = np.frombuffer(offsets, width)[start : start + len(column) + 1].astype(np.int64)
    raw = np.frombuffer(b"", np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Texts(raw, ends)


@numba.njit(cache=True, inline="always")
def code_point(data, place, end):  # type: ignore[no-untyped-def]
    """(code point, place behind it). Never reads at or beyond `end`; a broken byte stands for itself."""
    first = np.int64(data[place])
    if first < 0x80:
        return first, place + 1
    if first < 0xE0 and place + 1 < end:
        return ((first & 0x1F) << 6) | (np.int64(data[place + 1]) & 0x3F), place + 2
    if first < 0xF0 and place + 2 < end:
        high = ((first & 0x0F) << 12) | ((np.int64(data[place + 1]) & 0x3F) << 6)
        return high | (np.int64(data[place + 2]) & 0x3F), place + 3
    if place + 3 < end:
        high = ((first & 0x07) << 18) | ((np.int64(data[place + 1]) & 0x3F) << 12)
        low = ((np.int64(data[place + 2]) & 0x3F) << 6) | (np.int64(data[place + 3]) & 0x3F)
        return high | low, place + 4
    return first, place + 1


@numba.njit(cache=True, inline="always")
def kind_of(kinds, code):  # type: ignore[no-untyped-def]
    if code < kinds.size:
        return np.int64(kinds[code])
    return np.int64(ALONE) if code < 0x40000 else np.int64(0)


@numba.njit(cache=True, inline="always")
def lower_of(lower, code):  # type: ignore[no-untyped-def]
    return np.int64(lower[code]) if code < lower.size else code


@numba.njit(cache=True)
def mixed(value):  # type: ignore[no-untyped-def]
    """SplitMix64's output function (Steele, Lea & Flood 2014) on uint64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@numba.njit(cache=True)
def next_words(data, place, end, kinds, lower, out, first):  # type: ignore[no-untyped-def]
    """Hashes of the lower-cased words from `place` on, written to out[first:] until it is full or the text
    ends. Returns (number of hashes now in out, place to go on from).

    FNV-1a over code points (Fowler, Noll & Vo), finished with SplitMix64."""
    count = first
    while place < end and count < out.size:
        code, behind = code_point(data, place, end)
        kind = kind_of(kinds, code)
        if kind != WITHIN and kind != ALONE:
            place = behind
            continue
        value = np.uint64(0xCBF29CE484222325)
        value = (value ^ np.uint64(lower_of(lower, code))) * np.uint64(0x100000001B3)
        place = behind
        if kind == WITHIN:
            while place < end:
                code, behind = code_point(data, place, end)
                if kind_of(kinds, code) != WITHIN:
                    break
                value = (value ^ np.uint64(lower_of(lower, code))) * np.uint64(0x100000001B3)
                place = behind
        out[count] = mixed(value)
        count += 1
    return count, place


@numba.njit(cache=True)
def _fold(data, offsets, kinds, lower, out, ends):  # type: ignore[no-untyped-def]
    filled = 0
    for row in range(offsets.size - 1):
        place, end = offsets[row], offsets[row + 1]
        start, blank = filled, False
        while place < end:
            code, place = code_point(data, place, end)
            if kind_of(kinds, code) == BLANK:
                blank = filled > start
                continue
            if blank:
                out[filled] = 32
                filled += 1
                blank = False
            code = lower_of(lower, code)
            if code < 0x80:
                out[filled] = code
                filled += 1
            elif code < 0x800:
                out[filled] = 0xC0 | (code >> 6)
                out[filled + 1] = 0x80 | (code & 0x3F)
                filled += 2
            elif code < 0x10000:
                out[filled] = 0xE0 | (code >> 12)
                out[filled + 1] = 0x80 | ((code >> 6) & 0x3F)
                out[filled + 2] = 0x80 | (code & 0x3F)
                filled += 3
            else:
                out[filled] = 0xF0 | (code >> 18)
                out[filled + 1] = 0x80 | ((code >> 12) & 0x3F)
                out[filled + 2] = 0x80 | ((code >> 6) & 0x3F)
                out[filled + 3] = 0x80 | (code & 0x3F)
                filled += 4
        ends[row + 1] = filled
    return filled


def folded(texts: Texts) -> Texts:
    """The texts in lower case, each run of blanks one space, none at either end."""
    kinds, lower = alphabet()
    num_bytes = int(texts.offsets[-1] - texts.offsets[0])
    # Lower case may need three bytes where upper case had two, never worse.
    out = np.empty(num_bytes + num_bytes // 2 + 8, np.uint8)
    ends = np.zeros(texts.offsets.size, np.int64)
    filled = _fold(texts.data, texts.offsets, kinds, lower, out, ends)
    out.flags.writeable = False
    return Texts(out[:filled], ends)


@numba.njit(cache=True)
def _copy(data, starts, offsets, out):  # type: ignore[no-untyped-def]
    for row in range(starts.size):
        size = offsets[row + 1] - offsets[row]
        out[offsets[row] : offsets[row + 1]] = data[starts[row] : starts[row] + size]


def taken(texts: Texts, rows: np.ndarray) -> Texts:
    """The texts in these rows, copied."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(texts.offsets[rows + 1] - texts.offsets[rows], out=offsets[1:])
    data = np.empty(offsets[-1], np.uint8)
    _copy(texts.data, texts.offsets[rows], offsets, data)
    data.flags.writeable = False
    return Texts(data, offsets)
