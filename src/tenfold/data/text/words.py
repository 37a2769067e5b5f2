"""Cutting a text into words: as spaCy's English cuts it (`compat`), or at white space (`paper`).

The first is spaCy's algorithm (tokenizer.pyx: white space, exceptions, prefixes and suffixes in turn, URLs whole,
infixes, emoticons put together again) over UTF-8 bytes, compiled. White space makes no token, as
datatrove strips it. Knows bytes and classes of characters; knows no rule that judges them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tenfold.data.text import characters
from tenfold.data.text.exceptions import MAX_BYTES, PLACES

SPACE, ALPHA, LOWER, UPPER = (
    characters.SPACE, characters.ALPHA, characters.LOWER, characters.UPPER,
)  # fmt: skip
PREFIX, SUFFIX, QUOTE, ICON = (
    characters.PREFIX, characters.SUFFIX, characters.QUOTE, characters.ICON,
)  # fmt: skip
MARK, CURRENCY = characters.MARK, characters.CURRENCY
_START = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MASK = np.uint64(PLACES - 1)


@njit(cache=True, nogil=True)
def decode(data, at):
    """The code point that begins at byte `at`, and how many bytes it takes."""
    byte = np.int64(data[at])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), 2
    if byte < 0xF0:
        low = ((np.int64(data[at + 1]) & 0x3F) << 6) | (np.int64(data[at + 2]) & 0x3F)
        return ((byte & 0x0F) << 12) | low, 3
    low = ((np.int64(data[at + 2]) & 0x3F) << 6) | (np.int64(data[at + 3]) & 0x3F)
    return ((byte & 0x07) << 18) | ((np.int64(data[at + 1]) & 0x3F) << 12) | low, 4


@njit(cache=True, nogil=True)
def before(data, at):
    """Where the character begins that ends just before byte `at`."""
    at -= 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(cache=True, nogil=True)
def hashed(data, start, end):
    """FNV-1a of 64 bits of a span."""
    value = _START
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * _PRIME
    return value


@njit(cache=True, nogil=True)
def _find(known, key):
    """The place of a hash in the table of exceptions, -1 where it is not."""
    top = key >> np.uint64(49)
    if not (known.bits[top >> np.uint64(3)] >> (top & np.uint64(7))) & 1:
        return -1
    place = key & _MASK
    while known.keys[place] != 0:
        if known.keys[place] == key:
            return np.int64(place)
        place = (place + np.uint64(1)) & _MASK
    return -1


@njit(cache=True, nogil=True)
def _exception(data, start, end, known):
    if end - start > MAX_BYTES or end <= start:
        return -1
    return _find(known, hashed(data, start, end))


@njit(cache=True, nogil=True)
def _prefix(data, start, end, classes):
    """Bytes of the prefix of a span."""
    byte = data[start]
    if byte == 43:  # +, but not before a digit
        return 0 if start + 1 < end and 48 <= data[start + 1] <= 57 else 1
    if byte == 46:
        at = start
        while at < end and data[at] == 46:
            at += 1
        return at - start if at - start > 1 else 0
    if byte in (65, 67, 85):  # A$, C$, US$
        at = start + 2 if byte == 85 and start + 1 < end and data[start + 1] == 83 else start + 1
        if at < end and data[at] == 36 and not (byte == 85 and at == start + 1):
            return at + 1 - start
        return 0
    code, size = decode(data, start)
    return size if classes[code] & PREFIX else 0


@njit(cache=True, nogil=True)
def _suffix(data, start, end, classes, known):
    """Bytes of the longest suffix of a span."""
    last = before(data, end)
    code, size = decode(data, last)
    flag = classes[code]
    if code == 46:  # full stops: a run, or one behind what may end a sentence
        at = last
        while at > start and data[at - 1] == 46:
            at -= 1
        if end - at > 1:
            return end - at
        if last == start:
            return 0
        place = before(data, last)
        code, _ = decode(data, place)
        flag = classes[code]
        if flag & (LOWER | MARK):
            return 1
        if place > start:
            other = before(data, place)
            code2, _ = decode(data, other)
            if flag & UPPER and classes[code2] & UPPER:
                return 1
            if code2 == 0xB0 and code in (67, 70, 75):
                return 1
        return 0
    if code == 0x2026 and last > start:
        place = before(data, last)
        if decode(data, place)[0] == 0x2026:
            return end - place
        return size
    if code in (115, 83) and last > start:  # 's
        place = before(data, last)
        if decode(data, place)[0] in (39, 0x2019):
            return end - place
    # Units and currencies behind a digit: no unit is longer than five characters.
    at = last
    for _ in range(5):
        if at <= start:
            break
        byte = data[at - 1]
        if 48 <= byte <= 57:
            if at == last and (code == 43 or classes[code] & CURRENCY):
                return end - at
            value = _START * _PRIME  # a zero byte goes before units in the table
            for place in range(at, end):
                value = (value ^ np.uint64(data[place])) * _PRIME
            if _find(known, value) >= 0:
                return end - at
            break
        at = before(data, at)
    return size if flag & SUFFIX else 0


@njit(cache=True, nogil=True)
def _host_letter(code):
    return 48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122 or 0xA1 <= code <= 0xFFFF


@njit(cache=True, nogil=True)
def _host(data, start, end, classes):
    """Whether a span is a host, perhaps with port and path: labels, then letters; or an IPv4 address."""
    at, label, dots, ok, letters, length = start, start, 0, True, True, 0
    inside = False  # the last character may end a label
    while at < end:
        code, size = decode(data, at)
        if code == 46:
            if length == 0 or length > 64 or not inside:
                return False
            dots += 1
            letters, length = True, 0
            label = at + 1
            at += 1
            continue
        good = _host_letter(code)
        if not good and code not in (95, 45):
            break
        if not good and length == 0:
            return False
        inside = good
        letters = letters and classes[code] & LOWER != 0
        length += 1
        at += size
    if dots == 0 or length == 0:
        return False
    if not (letters and 2 <= length <= 63):
        if dots != 3 or length > 3:
            return False
        number, place, part = 0, start, 0  # four numbers
        while place <= at:
            if place == at or data[place] == 46:
                top = 223 if part == 0 else 254 if part == 3 else 255
                if number > top or (part in (0, 3) and number == 0):
                    return False
                part += 1
                number = 0
            elif not 48 <= data[place] <= 57:
                return False
            else:
                number = number * 10 + data[place] - 48
                if number > 255:
                    return False
            place += 1
    if at < end and data[at] == 58:
        place = at + 1
        while place < end and 48 <= data[place] <= 57:
            place += 1
        if not 2 <= place - at - 1 <= 5:
            return False
        at = place
    return at == end or data[at] in (47, 63, 35)


@njit(cache=True, nogil=True)
def _url(data, start, end, classes):
    """Whether a span is a URL, a host or an address of mail: what stays one token."""
    dot = False
    for at in range(start, end):
        if data[at] == 46:
            dot = True
            break
    if not dot:
        return False
    if _host(data, start, end, classes):
        return True
    scheme = True
    for at in range(start, end):
        byte = data[at]
        if byte == 64 and at > start:
            if _host(data, at + 1, end, classes):
                return True
        if not scheme:
            continue
        if byte == 58:
            scheme = False
            if (
                at - start >= 2 and at + 3 < end and data[at + 1] == 47 and data[at + 2] == 47
                and _host(data, at + 3, end, classes)
            ):  # fmt: skip
                return True
        elif byte < 128 and not (
            48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte in (43, 45, 46, 95)
        ):
            scheme = False
    return False


@njit(cache=True, nogil=True)
def _alpha(data, at, classes):
    return classes[decode(data, at)[0]] & ALPHA != 0


@njit(cache=True, nogil=True)
def _infix(data, at, start, end, classes):
    """Bytes of an infix at `at` of the span, 0 where there is none."""
    byte = data[at]
    if byte >= 0x80:
        code, size = decode(data, at)
        if classes[code] & ICON:
            return size
        if code not in (0x2013, 0x2014) or at == start:
            return 0
        flag = classes[decode(data, before(data, at))[0]]
        if not (flag & ALPHA or 48 <= data[at - 1] <= 57):
            return 0
        after = at + size
        if after < end and _alpha(data, after, classes):
            return size
        if code == 0x2014 and after < end and decode(data, after)[0] == 0x2014:
            if after + 3 < end and _alpha(data, after + 3, classes):
                return 6
        return 0
    if byte == 46 and at + 1 < end and data[at + 1] == 46:
        after = at
        while after < end and data[after] == 46:
            after += 1
        return after - at
    if (
        byte not in (46, 44, 43, 45, 42, 94, 126, 58, 60, 62, 61, 47)
        or at == start
        or at + 1 >= end
    ):
        return 0
    digit = 48 <= data[at - 1] <= 57
    flag = classes[decode(data, before(data, at))[0]]
    follows = data[at + 1]
    if digit and byte in (43, 45, 42, 94) and (48 <= follows <= 57 or follows == 45):
        return 1
    after = classes[decode(data, at + 1)[0]]
    if byte == 46:
        return 1 if flag & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if byte == 44:
        return 1 if flag & ALPHA and after & ALPHA else 0
    if not (flag & ALPHA or digit) or byte in (43, 42, 94):
        return 0
    if after & ALPHA:
        return 1
    if byte == 45:
        for size in (2, 3):
            if at + size < end and data[at + size - 1] == 45 and _alpha(data, at + size, classes):
                return size
            if at + size >= end or data[at + size - 1] != 45:
                break
    return 0


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
        found = _exception(data, left, right, known)
        if found >= 0:
            break
        front = _prefix(data, left, right, classes)
        if front:
            found = _exception(data, left + front, right, known)
            if found >= 0:
                count = _push(count, left, left + front, starts, ends)
                left += front
                break
        back = _suffix(data, left + front, right, classes, known) if left + front < right else 0
        if back:
            found = _exception(data, left, right - back, known)
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
        elif _url(data, left, right, classes):
            count = _push(count, left, right, starts, ends)
        else:
            at, open_at = left, left
            while at < right:
                size = _infix(data, at, left, right, classes)
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
            value = hashed(data, start, end) if longest else _START
            for other in range(at + 1, min(at + 1 + longest, count)):
                if ends[other] - start > 8:
                    break
                for place in range(starts[other], ends[other]):
                    value = (value ^ np.uint64(data[place])) * _PRIME
                found = _find(known, value)
                if found >= 0 and known.cuts[found] == 0:
                    until = other + 1  # of a run of apostrophes only the first two: as spaCy does
        starts[kept], ends[kept] = start, ends[until - 1]
        kept += 1
        at = until
    return kept


@njit(cache=True, nogil=True)
def _characters(data, start, end):
    count = 0
    for at in range(start, end):
        count += data[at] & 0xC0 != 0x80
    return count


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
        value = _START
        while at < end and 97 <= data[at] | 32 <= 122:
            value = (value ^ np.uint64(data[at])) * _PRIME
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
            found = _find(known, value)
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
            whole = (value ^ np.uint64(data[letters])) * _PRIME
            if _find(known, whole) < 0 and _find(known, value) < 0:
                starts[count], ends[count], hashes[count], lengths[count] = (
                    begin,
                    letters,
                    value,
                    letters - begin,
                )
                count += 1
                starts[count], ends[count], lengths[count] = letters, at, 1
                hashes[count] = (_START ^ np.uint64(data[letters])) * _PRIME
                count += 1
                continue
            count = _chunk(data, begin, at, classes, known, count, starts, ends)
        else:
            count = _chunk(data, begin, at, classes, known, count, starts, ends)
        for word in range(base, count):
            hashes[word] = hashed(data, starts[word], ends[word])
            lengths[word] = _characters(data, starts[word], ends[word])
    return count


@njit(cache=True, nogil=True)
def _closes(data, begin, at):
    """Whether the byte behind plain letters is a suffix by the rules: a mark, or a full stop."""
    byte = data[at]
    if byte == 46:
        return data[at - 1] >= 97 or (at - 2 >= begin and data[at - 2] < 97 and data[at - 1] < 97)
    return byte in (44, 59, 58, 33, 63, 34, 41)
