"""The figures that rules judge a text by, all from one pass of one compiled kernel over a batch.

Each text is cut into words once (`words`); Gopher's, C4's and FineWeb's figures are counted from those words and
from its lines. Knows what is counted, not which value is too much: that is the rules' (`rules`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from tenfold.data.text import characters, exceptions
from tenfold.data.text.buffers import Bytes, Offsets, Rows
from tenfold.data.text.repetition import copies, lengthen, mixed, repeated, room, top
from tenfold.data.text.utf8 import before, decode, hashed, num_characters
from tenfold.data.text.words import words

FIGURES = (
    "dup_paragraphs", "dup_paragraph_chars", "dup_lines", "dup_line_chars",
    "top_2_gram", "top_3_gram", "top_4_gram",
    "dup_5_gram", "dup_6_gram", "dup_7_gram", "dup_8_gram", "dup_9_gram", "dup_10_gram",
    "words", "mean_word", "hashes", "ellipses", "bullet_lines", "ellipsis_lines", "alpha_words", "stop_words",
    "c4_curly", "c4_lorem", "c4_sentences",
    "fineweb_line_ends", "fineweb_short_lines", "fineweb_dup_chars", "fineweb_newlines",
)  # fmt: skip
"""In the order of the kernel's columns."""
REPETITION, QUALITY, C4, FINEWEB = 1, 2, 4, 8
"""Which of them are wanted; the others are left at zero."""
GROUPS = {
    REPETITION: FIGURES[:13],
    QUALITY: FIGURES[13:21],
    C4: FIGURES[21:24],
    FINEWEB: FIGURES[24:],
}
_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_STOPS = np.array([exceptions.fnv(word.encode()) for word in _STOP_WORDS], dtype=np.uint64)

SPACE, LETTER, SYMBOL = characters.SPACE, characters.LETTER, characters.SYMBOL
TERMINAL, POINT = characters.TERMINAL, characters.POINT
_LOREM, _JAVASCRIPT = b"lorem ipsum", b"javascript"
_POLICIES = (
    b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies",
)  # fmt: skip


def _packed(phrases: tuple[bytes, ...]) -> npt.NDArray[np.uint8]:
    table = np.zeros((len(phrases), 16), dtype=np.uint8)
    for row, phrase in enumerate(phrases):
        table[row, : len(phrase)] = np.frombuffer(phrase, dtype=np.uint8)
    return table


_PHRASES = _packed((_LOREM, _JAVASCRIPT, *_POLICIES))


def figures(
    data: Bytes, offsets: Offsets, rows: Rows, *, wanted: int, cut: bool, c4_lines: C4Lines
) -> npt.NDArray[np.float64]:
    """Shape (texts, len(FIGURES)); rows where `rows` is false stay zero. `cut`: words as spaCy cuts them."""
    return _all(
        data,
        offsets,
        rows,
        wanted,
        cut,
        c4_lines,
        characters.flags(),
        exceptions.table(),
        _STOPS,
        _PHRASES,
    )


C4Lines = tuple[bool, int, int]
"""Whether a line must end in a mark, its least number of words, its longest word in characters."""


@njit(cache=True, nogil=True)
def _stripped(data, start, end, classes):
    """The span without white space at its ends."""
    while start < end:
        code, size = decode(data, start)
        if not classes[code] & SPACE:
            break
        start += size
    while end > start:
        last = before(data, end)
        if not classes[decode(data, last)[0]] & SPACE:
            break
        end = last
    return start, end


@njit(cache=True, nogil=True)
def _pieces(data, start, end, least, keys, lengths):
    """The text split at runs of `least` line feeds or more: hash and characters of each piece; their number."""
    count, begin, at = 0, start, start
    while at <= end:
        run = at
        while run < end and data[run] == 10:
            run += 1
        if at == end or run - at >= least:
            keys[count] = mixed(hashed(data, begin, at))
            lengths[count] = num_characters(data, begin, at)
            count += 1
            begin = run
            if at == end:
                break
        at = run if run > at else at + 1
    return count


@njit(cache=True, nogil=True)
def _line_end(data, at, end):
    """Where the line ends that begins at `at`, and where the next one begins, as `str.splitlines` has it."""
    while at < end:
        byte = data[at]
        if byte <= 30:
            if byte == 13:
                return at, at + 2 if at + 1 < end and data[at + 1] == 10 else at + 1
            if 10 <= byte <= 12 or byte >= 28:
                return at, at + 1
        elif byte == 0xC2 and data[at + 1] == 0x85:
            return at, at + 2
        elif byte == 0xE2 and data[at + 1] == 0x80 and 0xA8 <= data[at + 2] <= 0xA9:
            return at, at + 3
        at += 1
    return end, end


@njit(cache=True, nogil=True)
def _dots(data, start, end):
    """Whether a span ends in an ellipsis, in either spelling."""
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 46 and b == 46 and c == 46) or (a == 0xE2 and b == 0x80 and c == 0xA6)


@njit(cache=True, nogil=True)
def _quality(data, start, end, classes, starts, ends, keys, lengths, count, cut, stops, out):
    """Gopher's quality figures (Rae et al. 2021, section A1.1), out[0:8]."""
    real, letters, alpha, found = 0, 0, 0, 0
    for word in range(count):
        symbol, letter = cut, False
        at = starts[word]
        while at < ends[word]:
            code, size = decode(data, at)
            flag = classes[code]
            letter = letter or flag & LETTER != 0
            symbol = symbol and flag & SYMBOL != 0
            if letter and not symbol:
                break
            at += size
        if not symbol:
            real += 1
            letters += lengths[word]
        alpha += letter
        if ends[word] - starts[word] <= 4:
            for stop in range(len(stops)):
                if keys[word] == stops[stop]:
                    found |= 1 << stop
    hashes, ellipses, at = 0, 0, start
    while at < end:
        byte = data[at]
        if byte == 35:
            hashes += 1
        elif byte == 46 and at + 2 < end and data[at + 1] == 46 and data[at + 2] == 46:
            ellipses += 1
            at += 2
        elif byte == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xA6:
            ellipses += 1
        at += 1
    lines, bullets, trailing, at = 0, 0, 0, start
    while at < end:
        until, after = _line_end(data, at, end)
        begin, stop = _stripped(data, at, until, classes)
        lines += 1
        if begin < stop:
            bullets += data[begin] == 45 or (
                data[begin] == 0xE2 and data[begin + 1] == 0x80 and data[begin + 2] == 0xA2
            )
            trailing += _dots(data, begin, stop)
        at = after
    num_stops = 0
    while found:
        num_stops += found & 1
        found >>= 1
    out[0] = real
    out[1] = letters / real if real else 0.0
    out[2] = hashes / max(count, 1)
    out[3] = ellipses / max(count, 1)
    out[4] = bullets / max(lines, 1)
    out[5] = trailing / max(lines, 1)
    out[6] = alpha / max(count, 1)
    out[7] = num_stops


@njit(cache=True, nogil=True)
def _holds(data, start, end, phrases):
    """Which phrases stand in a line, in any case: one bit each."""
    found = 0
    for at in range(start, end):
        low = data[at] | 32
        if low in (108, 106, 116, 112, 99, 117):  # the letters that phrases begin with
            for phrase in range(len(phrases)):
                place = 0
                while place < 16 and phrases[phrase, place] != 0:
                    byte = data[at + place] if at + place < end else np.uint8(0)
                    if 65 <= byte <= 90:
                        byte |= np.uint8(32)
                    if byte != phrases[phrase, place]:
                        break
                    place += 1
                if place == 16 or phrases[phrase, place] == 0:
                    found |= 1 << phrase
    return found


@njit(cache=True, nogil=True)
def _c4(data, start, end, classes, starts, ends, count, phrases, limits, out):
    """C4's figures (Raffel et al. 2020, section 2.2), out[0:3]: a curly bracket, lorem ipsum, sentences in the
    lines that stay. As datatrove counts them, a line that goes for an earlier cause shows no bracket."""
    must_end, least_words, longest = limits
    sentences, word, at = 0, 0, start
    while at < end:
        until, after = _line_end(data, at, end)
        begin, stop = _stripped(data, at, until, classes)
        at = after
        # Words at white space, and the longest of them.
        num, length, most, curly = 0, 0, 0, False
        place = begin
        while place < stop:
            code, size = decode(data, place)
            if classes[code] & SPACE:
                length = 0
            else:
                num += length == 0
                length += 1
                most = max(most, length)
                curly = curly or code == 123
            place += size
        if longest >= 0 and most > longest:
            continue
        # Citations such as [12] or [edit] at its end hide the mark.
        mark = stop
        while mark > begin and data[mark - 1] == 93:
            opened = mark - 2
            while opened >= begin and 48 <= data[opened] <= 57:
                opened -= 1
            if opened < begin or data[opened] != 91:
                break
            mark = opened
        final = data[mark - 1] if mark > begin else np.uint8(0)
        good = final in (46, 63, 33, 34, 39)
        dotted = mark - begin >= 3 and final == 46 and data[mark - 2] == 46 and data[mark - 3] == 46
        if must_end and (not good or dotted):
            continue
        if num < least_words:
            continue
        found = _holds(data, begin, stop, phrases)
        if found & 1:
            out[1] = 1
        if found & 2:
            continue
        if curly:
            out[0] = 1
        if found >> 2:
            continue
        # Sentences, as spaCy's sentencizer finds them: a word behind an end mark opens the next.
        while word < count and starts[word] < begin:
            word += 1
        sentences += 1
        ended = False
        while word < count and starts[word] < stop:
            mark_only, point_only, place = True, True, starts[word]
            one = ends[word] - starts[word] <= 4
            while place < ends[word]:
                code, size = decode(data, place)
                mark_only = (
                    mark_only
                    and one
                    and classes[code] & TERMINAL != 0
                    and size == ends[word] - starts[word]
                )
                point_only = point_only and classes[code] & POINT != 0
                place += size
                if not point_only:
                    break
            if mark_only and point_only:
                ended = True
            elif ended and not point_only:
                sentences += 1
                ended = False
            word += 1
    out[2] = sentences


@njit(cache=True, nogil=True)
def _paper_sentences(data, starts, ends, count):
    """Words that end in a mark, quotes and brackets behind it apart; at least one where there are words."""
    sentences = 0
    for word in range(count):
        last = ends[word] - 1
        while last > starts[word] and data[last] in (34, 39, 41, 93):
            last -= 1
        sentences += data[last] in (46, 63, 33)
    return max(sentences, min(count, 1))


@njit(cache=True, nogil=True)
def _fineweb(data, start, end, classes, count, keys, lengths, table, out):
    """FineWeb's figures (Penedo et al. 2024, section 3.4), out[0:4]."""
    lines, ended, short, newlines, total = 0, 0, 0, 0, 0
    at = start
    while at <= end:
        until = at
        while until < end and data[until] != 10:
            until += 1
        newlines += until < end
        size = num_characters(data, at, until)
        total += size
        begin, stop = _stripped(data, at, until, classes)
        if begin < stop:
            ended += classes[decode(data, before(data, until))[0]] & TERMINAL != 0
            short += size <= 30
            keys[lines] = mixed(hashed(data, at, until))
            lengths[lines] = size
            lines += 1
        at = until + 1
    _, twice = copies(keys, lengths, lines, table)
    out[0] = ended / max(lines, 1)
    out[1] = short / max(lines, 1)
    out[2] = twice / max(total, 1)
    out[3] = newlines / max(count, 1)


@njit(cache=True, nogil=True)
def _all(data, offsets, rows, wanted, cut, c4_lines, classes, known, stops, phrases):
    num_texts = len(offsets) - 1
    out = np.zeros((num_texts, 28), dtype=np.float64)
    longest = 0
    for row in range(num_texts):
        if rows[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    # Untouched pages of these cost nothing: there are never more words than bytes.
    starts = np.empty(longest + 2, dtype=np.int64)
    ends = np.empty(longest + 2, dtype=np.int64)
    hashes = np.empty(longest + 2, dtype=np.uint64)
    grams = np.empty(longest + 2, dtype=np.uint64)
    lengths = np.empty(longest + 2, dtype=np.int64)
    upto = np.empty(longest + 3, dtype=np.int64)
    times = np.empty(longest + 2, dtype=np.int64)
    table = np.empty(room(longest + 2), dtype=np.int64)
    for row in range(num_texts):
        start, end = offsets[row], offsets[row + 1]
        if not rows[row] or start == end:
            continue
        figure = out[row]
        size = num_characters(data, start, end)
        if wanted & 1:
            begin, until = _stripped(data, start, end, classes)
            pieces = _pieces(data, begin, until, 2, grams, lengths)
            seen, again = copies(grams, lengths, pieces, table)
            figure[0], figure[1] = seen / pieces, again / size
            pieces = _pieces(data, start, end, 1, grams, lengths)
            seen, again = copies(grams, lengths, pieces, table)
            figure[2], figure[3] = seen / pieces, again / size
        count = words(data, start, end, classes, known, cut, starts, ends, hashes, lengths)
        upto[0] = 0
        for word in range(count):
            upto[word + 1] = upto[word] + lengths[word]
        if wanted & 1 and count:
            for word in range(count):
                grams[word] = mixed(hashes[word])
            again = 1
            for n in range(2, 11):
                lengthen(grams, hashes, n, count)
                if n < 5:
                    figure[n + 2] = top(grams, upto, n, count, table, times) / size
                elif again:  # what never repeats at n words does not at n + 1
                    again = repeated(grams, upto, n, count, table)
                    figure[n + 2] = again / size
        if wanted & 2:
            _quality(
                data,
                start,
                end,
                classes,
                starts,
                ends,
                hashes,
                lengths,
                count,
                cut,
                stops,
                figure[13:21],
            )
        if wanted & 4:
            _c4(data, start, end, classes, starts, ends, count, phrases, c4_lines, figure[21:24])
            if not cut:
                figure[23] = _paper_sentences(data, starts, ends, count)
        if wanted & 8:
            _fineweb(data, start, end, classes, count, grams, times, table, figure[24:28])
    return out
