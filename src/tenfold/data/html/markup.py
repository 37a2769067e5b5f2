"""Kernels over the bytes of a tag: names, values, references, and where what must not be read ends.

Knows bytes; what an element is and what stands around it is `scan`'s.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import words

NAME_BYTE = np.zeros(256, np.bool_)
for _byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.":
    NAME_BYTE[_byte] = True
SPACE = np.zeros(256, np.bool_)
for _byte in b" \t\n\r\f\0":
    SPACE[_byte] = True
LOWER = np.arange(256, dtype=np.uint8)
LOWER[65:91] += 32
_C1 = np.array([ord(bytes([b]).decode("cp1252", "replace")) for b in range(128, 160)], np.int64)
"""What numeric references to 128 to 159 mean (WHATWG, 13.2.5.80)."""
_SYMBOL, _EDGE = words.SYMBOL, np.uint8(words.EDGE)
_STATES, _GROUPS = words.NAME_STATES, words.NAME_GROUPS


@numba.njit(cache=True, nogil=True)
def lookup(slots, value):
    at = value % slots.shape[0]
    while slots[at, 1]:
        if slots[at, 0] == value:
            return np.int64(slots[at, 1])
        at = (at + 1) % slots.shape[0]
    return np.int64(0)


@numba.njit(cache=True, nogil=True)
def name_hash(page, start, end):
    value = np.uint64(2166136261)
    for at in range(start, end):
        value = ((value ^ np.uint64(LOWER[page[at]])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    return np.int64(value)


@numba.njit(cache=True, nogil=True)
def word_groups(page, start, end):
    """Groups of words.IN_NAMES in an attribute's value; a capital after a small letter begins a word."""
    state, found = np.uint16(0), np.uint32(0)
    edge, small = True, False
    state = _STATES[0, _EDGE]
    for at in range(start, end):
        byte = page[at]
        symbol = _SYMBOL[byte]
        capital = 65 <= byte <= 90
        if symbol == _EDGE:
            if edge:
                continue
            edge = True
        else:
            if capital and small and not edge:
                state = _STATES[state, _EDGE]
                found |= _GROUPS[state]
            edge = False
        small = 97 <= byte <= 122
        state = _STATES[state, symbol]
        found |= _GROUPS[state]
    if not edge:
        state = _STATES[state, _EDGE]
        found |= _GROUPS[state]
    return found


@numba.njit(cache=True, nogil=True)
def end_tag(page, start, name_start, name_end):
    """Where the end tag of the same name as page[name_start:name_end] begins; -1: nowhere."""
    length = name_end - name_start
    for at in range(start, len(page) - length - 1):
        if page[at] != 60 or page[at + 1] != 47:
            continue
        same = 0
        while same < length and LOWER[page[at + 2 + same]] == LOWER[page[name_start + same]]:
            same += 1
        if same == length:
            after = at + 2 + length
            if after == len(page) or not NAME_BYTE[page[after]]:
                return at
    return -1


@numba.njit(cache=True, nogil=True)
def put(out, size, point):
    """Write a code point; where the next byte goes."""
    if point < 0x80:
        out[size] = point
        return size + 1
    if point < 0x800:
        out[size] = 0xC0 | (point >> 6)
        out[size + 1] = 0x80 | (point & 0x3F)
        return size + 2
    if point < 0x10000:
        out[size] = 0xE0 | (point >> 12)
        out[size + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[size + 2] = 0x80 | (point & 0x3F)
        return size + 3
    out[size] = 0xF0 | (point >> 18)
    out[size + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[size + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[size + 3] = 0x80 | (point & 0x3F)
    return size + 4


@numba.njit(cache=True, nogil=True)
def reference(page, at, end):
    """(code point, bytes read) of the numeric reference at `at`, or (-1, 0) where there is none."""
    here = at + 2
    base = 10
    if here < end and (page[here] == 120 or page[here] == 88):
        base = 16
        here += 1
    point, begun = 0, here
    while here < end:
        byte = page[here]
        if 48 <= byte <= 57:
            digit = byte - 48
        elif base == 16 and 97 <= LOWER[byte] <= 102:
            digit = LOWER[byte] - 87
        else:
            break
        point = min(point * base + digit, 0x110000)
        here += 1
    if here == begun:
        return -1, 0
    if here < end and page[here] == 59:
        here += 1
    if 128 <= point < 160:
        point = _C1[point - 128]
    elif point == 0 or point > 0x10FFFF or 0xD800 <= point < 0xE000:
        point = 0xFFFD
    return point, here - at


@numba.njit(cache=True, nogil=True)
def styled_away(page, start, end):
    """Whether a style says `display: none`."""
    here = start
    while here + 11 <= end:
        if (
            page[here] == 100
            and page[here + 1] == 105
            and page[here + 2] == 115
            and page[here + 6] == 121
        ):
            here += 7
            while here < end and (page[here] == 58 or SPACE[page[here]]):
                here += 1
            if here + 1 < end and page[here] == 110 and page[here + 1] == 111:
                return True
        here += 1
    return False
