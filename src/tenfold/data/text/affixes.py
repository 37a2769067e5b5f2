"""What is cut off a word, in front, behind and inside, and what never is: spaCy's rules for English, compiled.

The rules are those of spacy.lang.punctuation, spacy.lang.en.punctuation and the URL pattern of
spacy.lang.tokenizer_exceptions, each as a function of bytes. Knows single rules, not the order they come in.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tenfold.data.text import characters
from tenfold.data.text.exceptions import MAX_BYTES, PLACES
from tenfold.data.text.utf8 import PRIME, START, before, decode, hashed

ALPHA, LOWER, UPPER = characters.ALPHA, characters.LOWER, characters.UPPER
PREFIX, SUFFIX, QUOTE, ICON = (
    characters.PREFIX, characters.SUFFIX, characters.QUOTE, characters.ICON,
)  # fmt: skip
MARK, CURRENCY = characters.MARK, characters.CURRENCY
_MASK = np.uint64(PLACES - 1)


@njit(cache=True, nogil=True)
def find(known, key):
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
def exception(data, start, end, known):
    if end - start > MAX_BYTES or end <= start:
        return -1
    return find(known, hashed(data, start, end))


@njit(cache=True, nogil=True)
def prefix(data, start, end, classes):
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
def suffix(data, start, end, classes, known):
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
            value = START * PRIME  # a zero byte goes before units in the table
            for place in range(at, end):
                value = (value ^ np.uint64(data[place])) * PRIME
            if find(known, value) >= 0:
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
    at, dots, letters, length = start, 0, True, 0
    inside = False  # the last character may end a label
    while at < end:
        code, size = decode(data, at)
        if code == 46:
            if length == 0 or length > 64 or not inside:
                return False
            dots += 1
            letters, length = True, 0
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
def url(data, start, end, classes):
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
        if byte == 64 and at > start and _host(data, at + 1, end, classes):
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
def infix(data, at, start, end, classes):
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
        twice = code == 0x2014 and after + 3 < end and decode(data, after)[0] == 0x2014
        return 6 if twice and _alpha(data, after + 3, classes) else 0
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
