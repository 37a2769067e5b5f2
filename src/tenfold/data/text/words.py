"""Cutting a text into words: as spaCy's English cuts it (`compat`), or at white space (`paper`).

The first is spaCy's algorithm (tokenizer.pyx: white space, exceptions, prefixes and suffixes in turn, URLs whole,
infixes, emoticons put together again; the rules are in `affixes`) over UTF-8 bytes, compiled. White space makes no token, as
datatrove strips it. Knows bytes and classes of characters; knows no rule that judges them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tenfold.data.text import characters
from tenfold.data.text.affixes import exception, find, infix, prefix, suffix, url
from tenfold.data.text.utf8 import PRIME, START, decode, hashed, num_characters

SPACE = characters.SPACE


@njit(cache=True, nogil=True)
def _push(count, start, end, starts, ends):
    starts[count] = start
    ends[count] = end
    return count + 1


@njit(cache=True, nogil=True)
def _push_exception(cut, count, start, end, starts, ends):
    first, second = cut & 255, cut >> 8
    if first:
        count = _push(count, start, start + first, starts, ends)
        if second:
            count = _push(count, start + first, start + second, starts, ends)
            return _push(count, start + second, end, starts, ends)
        return _push(count, start + first, end, starts, ends)
    return _push(count, start, end, starts, ends)


@njit(cache=True, nogil=True)
def _chunk(data, start, end, classes, known, count, starts, ends):
    """The tokens of a span without white space, appended; returns how many there are then.

    Suffixes are cut last one first and come out in reverse: until then where they begin is stacked at the
    far end of `starts`, which is longer than the text.
    """
    base = count
    left, right = start, end
    top = len(starts) - 1
    num_suffixes = 0
    found = -1
    while left < right:
        found = exception(data, left, right, known)
        if found >= 0:
            break
        front = prefix(data, left, right, classes)
        if front:
            found = exception(data, left + front, right, known)
            if found >= 0:
                count = _push(count, left, left + front, starts, ends)
                left += front
                break
        back = suffix(data, left + front, right, classes, known) if left + front < right else 0
        if back:
            found = exception(data, left, right - back, known)
        if front and found < 0:
            count = _push(count, left, left + front, starts, ends)
            left += front
        if back:
            right -= back
            starts[top - num_suffixes] = right
            num_suffixes += 1
        if found >= 0 or not (front or back):
            break
    if left < right:
        if found >= 0 and known.cuts[found] >= 0:
            count = _push_exception(known.cuts[found], count, left, right, starts, ends)
        elif url(data, left, right, classes):
            count = _push(count, left, right, starts, ends)
        else:
            at, open_at = left, left
            while at < right:
                size = infix(data, at, left, right, classes)
                if size == 0:
                    at += decode(data, at)[1]
                    continue
                if at > left:
                    if at > open_at:
                        count = _push(count, open_at, at, starts, ends)
                    count = _push(count, at, at + size, starts, ends)
                    open_at = at + size
                at += size
            if open_at < right:
                count = _push(count, open_at, right, starts, ends)
    while num_suffixes:
        num_suffixes -= 1
        begin = starts[top - num_suffixes]
        until = starts[top - num_suffixes + 1] if num_suffixes else end
        count = _push(count, begin, until, starts, ends)
    if count - base > 1:
        count = _together(data, base, count, known, starts, ends)
    return count


@njit(cache=True, nogil=True)
def _together(data, base, count, known, starts, ends):
    """Neighbours among the tokens `base` to `count` that make an exception are joined again, longest first:
    `)` and `:` become `):`, `a` and `.` become `a.`."""
    at, kept = base, base
    while at < count:
        start, end = starts[at], ends[at]
        until = at + 1
        if at + 1 < count:
            byte = data[start]
            longest = 0  # how many tokens more may belong to it
            if 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122:
                if (
                    data[starts[at + 1]] == 46
                    and ends[at + 1] == starts[at + 1] + 1
                    and end - start < 8
                ):
                    longest = 1
            elif end - start == 1 and not (byte == 39 and at > base and data[start - 1] == 39):
                longest = 5
            value = hashed(data, start, end) if longest else START
            for other in range(at + 1, min(at + 1 + longest, count)):
                if ends[other] - start > 8:
                    break
                for place in range(starts[other], ends[other]):
                    value = (value ^ np.uint64(data[place])) * PRIME
                found = find(known, value)
                if found >= 0 and known.cuts[found] == 0:
                    until = other + 1  # of a run of apostrophes only the first two: as spaCy does
        starts[kept], ends[kept] = start, ends[until - 1]
        kept += 1
        at = until
    return kept


@njit(cache=True, nogil=True)
def words(data, start, end, classes, known, cut, starts, ends, hashes, lengths):
    """The words of data[start:end]: fills in where each begins and ends in bytes, its FNV-1a hash and its
    characters; returns how many they are.

    `cut`: whether words are cut further than at white space. The arrays have room for end - start + 2.
    """
    count = 0
    at = start
    while at < end:
        byte = data[at]
        if byte < 0x80:
            if classes[byte] & SPACE:
                at += 1
                continue
        else:
            code, size = decode(data, at)
            if classes[code] & SPACE:
                at += size
                continue
        begin = at
        value = START
        while at < end and 97 <= data[at] | 32 <= 122:
            value = (value ^ np.uint64(data[at])) * PRIME
            at += 1
        letters = at  # where the plain letters end
        while at < end:
            byte = data[at]
            if byte < 0x80:
                if classes[byte] & SPACE:
                    break
                at += 1
            else:
                code, size = decode(data, at)
                if classes[code] & SPACE:
                    break
                at += size
        base = count
        if not cut:
            count = _push(count, begin, at, starts, ends)
        elif letters == at:
            found = find(known, value)
            if found < 0:  # most words of most texts
                starts[count], ends[count], hashes[count], lengths[count] = (
                    begin,
                    at,
                    value,
                    at - begin,
                )
                count += 1
                continue
            count = _push_exception(known.cuts[found], count, begin, at, starts, ends)
        elif letters == at - 1 and letters > begin and _closes(data, begin, letters):
            # A word and one mark behind it: what most other words are.
            whole = (value ^ np.uint64(data[letters])) * PRIME
            if find(known, whole) < 0 and find(known, value) < 0:
                starts[count], ends[count], hashes[count], lengths[count] = (
                    begin,
                    letters,
                    value,
                    letters - begin,
                )
                count += 1
                starts[count], ends[count], lengths[count] = letters, at, 1
                hashes[count] = (START ^ np.uint64(data[letters])) * PRIME
                count += 1
                continue
            count = _chunk(data, begin, at, classes, known, count, starts, ends)
        else:
            count = _chunk(data, begin, at, classes, known, count, starts, ends)
        for word in range(base, count):
            hashes[word] = hashed(data, starts[word], ends[word])
            lengths[word] = num_characters(data, starts[word], ends[word])
    return count


@njit(cache=True, nogil=True)
def _closes(data, begin, at):
    """Whether the byte behind plain letters is a suffix by the rules: a mark, or a full stop."""
    byte = data[at]
    if byte == 46:
        return data[at - 1] >= 97 or (at - 2 >= begin and data[at - 2] < 97 and data[at - 1] < 97)
    return byte in (44, 59, 58, 33, 63, 34, 41)
