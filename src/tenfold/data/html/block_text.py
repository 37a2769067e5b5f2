"""What the text of one block says about it: lengths, signs, words, likeness to a title.

Knows the block's bytes, nothing of where it stands.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import words

_STATES, _GROUPS = words.TEXT_STATES, words.TEXT_GROUPS
_SYMBOL, _EDGE = words.SYMBOL, np.uint8(words.EDGE)
_NUM_GROUPS = len(words.IN_TEXT)


@numba.njit(cache=True, nogil=True)
def own(text, start, end, link_bytes, bold_bytes, row, groups_at):
    """Fill in what a block's text alone says: columns of features.OWN, and from column `groups_at` on a
    flag for each group of words. Returns (words, hash of its letters)."""
    num_words, letters, marks, capitals, digits, commas, quotes, short = 0, 0, 0, 0, 0, 0, 0, 0
    word = 0
    wide = 0
    value = np.uint64(14695981039346656037)
    state, found, edge = _STATES[0, _EDGE], np.uint32(0), True
    end_mark, first_capital = False, False
    for at in range(start, end):
        byte = text[at]
        symbol = _SYMBOL[byte]
        if symbol != _EDGE or not edge:
            state = _STATES[state, symbol]
            found |= _GROUPS[state]
        edge = symbol == _EDGE
        letter = (97 <= byte <= 122) or (65 <= byte <= 90)
        digit = 48 <= byte <= 57
        foreign = byte >= 128
        if byte == 0xE2 and at + 1 < end and text[at + 1] == 0x80:
            foreign = False
            quotes += at + 2 < end and 0x98 <= text[at + 2] <= 0x9F
        elif (foreign and at >= 2 and text[at - 2] == 0xE2 and text[at - 1] == 0x80) or (
            foreign and at >= 1 and text[at - 1] == 0xE2 and byte == 0x80
        ):
            foreign = False
        if 0xE3 <= byte <= 0xE9:
            wide += 1
        if letter or digit or foreign:
            if word == 0:
                num_words += 1
                capitals += 65 <= byte <= 90
                digits += digit
                if num_words == 1:
                    first_capital = 65 <= byte <= 90
            word += 1
            letters += 1
            end_mark = False
            value = (value ^ np.uint64(byte | 32)) * np.uint64(1099511628211)
        else:
            if 0 < word <= 3:
                short += 1
            if byte != 39 and byte != 0x80 and byte < 0x98:
                word = 0
            if byte == 46 or byte == 33 or byte == 63:
                marks += 1
                end_mark = True
            elif byte == 44 or byte == 59 or byte == 58:
                marks += 1
                commas += byte == 44
                end_mark = False
            elif byte == 34:
                quotes += 1
            elif byte < 128 and byte != 32 and byte != 41 and byte != 39 and byte != 10:
                end_mark = False
    if not edge:
        found |= _GROUPS[_STATES[state, _EDGE]]
    # Chinese and Japanese have no spaces: two signs are about a word.
    num_words += wide // 2
    size = end - start
    per_word = 1.0 / max(1, num_words)
    row[0], row[1] = np.log2(1 + num_words), np.log2(1 + size)
    row[2] = min(1.0, link_bytes / size)
    row[3] = letters * per_word
    row[4] = marks * per_word
    row[5] = end_mark
    row[6] = first_capital
    row[7] = capitals * per_word
    row[8] = digits * per_word
    row[9] = min(commas, 8)
    row[10] = min(quotes, 8)
    row[13] = min(1.0, bold_bytes / size)
    row[14] = short * per_word
    row[15] = text[end - 1] == 58
    for group in range(_NUM_GROUPS):
        row[groups_at + group] = (found >> np.uint32(group)) & np.uint32(1)
    return num_words, value


@numba.njit(cache=True, nogil=True)
def like(text, start, end, page, title_start, title_end):
    """Share of the shorter one's letters that block and title have in common from the first on."""
    a, b, same = start, title_start, 0
    while a < end and b < title_end:
        if _SYMBOL[text[a]] >= _EDGE:
            a += 1
        elif _SYMBOL[page[b]] >= _EDGE:
            b += 1
        elif _SYMBOL[text[a]] == _SYMBOL[page[b]]:
            same += 1
            a += 1
            b += 1
        else:
            break
    return 0.0 if same < 8 else same / (same + max(0, end - a))


@numba.njit(cache=True, nogil=True)
def long_words(page, start, end):
    """Bits of the words of four letters and more, and how many there are."""
    bits, count, value, letters = np.uint64(0), 0, np.uint64(0), 0
    for at in range(start, end + 1):
        symbol = _SYMBOL[page[at]] if at < end else _EDGE
        if symbol < _EDGE:
            value = (value * np.uint64(31) + np.uint64(symbol)) & np.uint64(0xFFFFFFF)
            letters += 1
        else:
            if letters >= 4:
                bit = np.uint64(1) << ((value ^ (value >> np.uint64(7))) % np.uint64(61))
                count += (bits & bit) == 0
                bits |= bit
            value, letters = np.uint64(0), 0
    return bits, count
