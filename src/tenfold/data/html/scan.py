"""From the bytes of a page to blocks of text and the elements around them, in one pass.

No tree is built: a stack of open elements is enough to know what a text stands in, and it bounds what a
hostile page can cost (time and memory grow with its bytes, whatever is nested in what). End tags that are
left out are put in as browsers do for p, li, table cells, options and definitions (WHATWG, 13.2.6); markup that
browsers would move elsewhere stays where it is. Knows nothing of what text is worth.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import tags, words

DEPTH = 512
"""Elements within elements; what is nested deeper belongs to the last that counts, as in browsers."""
MOST_ELEMENTS = 1 << 18
MOST_BLOCKS = 1 << 16

# Columns of blocks, int32.
START, END, OWNER, LINK_BYTES, BOLD_BYTES, BREAKS, CELLS, NUM_BLOCK = 0, 1, 2, 3, 4, 5, 6, 7
# Columns of elements, int32. The blocks within an element are FIRST to LAST, without LAST.
TAG, PARENT, FIRST, LAST, ALIKE, LEVEL, NUM_ELEMENT = 0, 1, 2, 3, 4, 5, 6

HIDDEN, BODY_ITEM, MAIN_ROLE = 1 << 28, 1 << 29, 1 << 30
"""Beside the groups of words.IN_NAMES: styled away; itemprop articleBody; role main or article."""

_N = tags.NUMBER
_P, _LI, _TD, _TH, _TR, _DT, _DD, _OPTION = (
    _N[name] for name in ("p", "li", "td", "th", "tr", "dt", "dd", "option")
)
_A, _PRE, _BR, _B, _STRONG = _N["a"], _N["pre"], _N["br"], _N["b"], _N["strong"]
_UL, _OL, _TABLE, _DL, _HTML, _BODY = (
    _N[name] for name in ("ul", "ol", "table", "dl", "html", "body")
)
_TITLE, _META, _TIME = _N["title"], _N["meta"], _N["time"]
_SAYS_TIME, _SAYS_LANG = tags.fnv(b"time"), tags.fnv(b"lang")
CELL_BYTES = 80
"""A table's row is one block, unless a cell has this much text: then the table is there for the layout."""
MOST_FACTS = 256
_ARTICLE_BODY, _MAIN, _ARTICLE = (tags.fnv(word) for word in (b"articlebody", b"main", b"article"))
_TABLE_OF_TAGS, _FLAGS = tags.TABLE, tags.FLAGS.astype(np.int64)
_RAW, _SKIP, _BLOCK, _VOID = tags.RAW, tags.SKIP, tags.BLOCK, tags.VOID
_SYMBOL, _EDGE = words.SYMBOL, np.uint8(words.EDGE)
_STATES, _GROUPS = words.NAME_STATES, words.NAME_GROUPS

_ATTRIBUTES = {"class": 1, "id": 1, "role": 2, "itemprop": 2, "style": 3, "hidden": 4}
_ATTRIBUTES |= {"name": 6, "property": 6, "content": 7, "datetime": 8, "lang": 9}
_ATTRIBUTES |= {"aria-label": 1, "aria-hidden": 5, "data-component": 1, "data-testid": 1, "rel": 1}
_TABLE_OF_ATTRIBUTES = tags.table(_ATTRIBUTES)

_NAME_BYTE = np.zeros(256, np.bool_)
for _byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.":
    _NAME_BYTE[_byte] = True
_SPACE = np.zeros(256, np.bool_)
for _byte in b" \t\n\r\f\0":
    _SPACE[_byte] = True
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
_C1 = np.array([ord(bytes([b]).decode("cp1252", "replace")) for b in range(128, 160)], np.int64)
"""What numeric references to 128 to 159 mean (WHATWG, 13.2.5.80)."""


@numba.njit(cache=True, nogil=True)
def _lookup(slots, value):
    at = value % slots.shape[0]
    while slots[at, 1]:
        if slots[at, 0] == value:
            return np.int64(slots[at, 1])
        at = (at + 1) % slots.shape[0]
    return np.int64(0)


@numba.njit(cache=True, nogil=True)
def _hash(page, start, end):
    value = np.uint64(2166136261)
    for at in range(start, end):
        value = ((value ^ np.uint64(_LOWER[page[at]])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    return np.int64(value)


@numba.njit(cache=True, nogil=True)
def _word_groups(page, start, end):
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
def _end_tag(page, start, name_start, name_end):
    """Where the end tag of the same name as page[name_start:name_end] begins; -1: nowhere."""
    length = name_end - name_start
    for at in range(start, len(page) - length - 1):
        if page[at] != 60 or page[at + 1] != 47:
            continue
        same = 0
        while same < length and _LOWER[page[at + 2 + same]] == _LOWER[page[name_start + same]]:
            same += 1
        if same == length:
            after = at + 2 + length
            if after == len(page) or not _NAME_BYTE[page[after]]:
                return at
    return -1


@numba.njit(cache=True, nogil=True)
def _utf8(out, size, point):
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
def _reference(page, at, end):
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
        elif base == 16 and 97 <= _LOWER[byte] <= 102:
            digit = _LOWER[byte] - 87
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
def scan(page):
    """Blocks and elements of a page in UTF-8.

    Returns (text `uint8[n]`: what the blocks say, named references still written out; blocks
    `int32[blocks, NUM_BLOCK]`; elements `int32[elements, NUM_ELEMENT]`, parents before children, the first
    is the page; hints `uint32[elements]`: bits of words.IN_NAMES and above; the title's place in the page,
    start and end; facts `int64[facts, 3]`: what meta, time and the language attribute say, as fnv of its name
    in small letters and the value's place in the page). Never raises: any bytes are a page.
    """
    n = len(page)
    text = np.empty(n + n // 4 + 16, np.uint8)
    blocks = np.empty((256, NUM_BLOCK), np.int32)
    elements = np.empty((1024, NUM_ELEMENT), np.int32)
    hints = np.zeros(1024, np.uint32)
    stack = np.empty(DEPTH, np.int32)
    open_tags = np.zeros(len(_FLAGS), np.int32)
    endless = np.zeros(len(_FLAGS), np.bool_)
    comment_endless = False
    title_start, title_end = 0, 0
    facts = np.empty((MOST_FACTS, 3), np.int64)
    num_facts = 0

    num_elements, num_blocks, size, depth = 1, 0, 0, 1
    elements[0] = 0
    elements[0, PARENT] = -1
    stack[0] = 0
    start, space = 0, False
    owner_element = stack[0]
    owner, low, link, bold, breaks = 0, 0, 0, 0, 0
    link_depth, bold_depth, pre_depth = 0, 0, 0
    broken = tab = False
    cell, cells = 0, 0
    at = 0

    while True:
        # Text up to the next tag.
        flush = False
        begin_tag = False
        text_from = size
        while at < n:
            byte = page[at]
            if byte == 60:
                follows = page[at + 1] if at + 1 < n else np.uint8(0)
                if (97 <= _LOWER[follows] <= 122) or follows == 47 or follows == 33 or follows == 63:
                    begin_tag = True
                    break
            if _SPACE[byte]:
                if pre_depth and size > start and byte:
                    text[size] = byte
                    size += 1
                else:
                    space = True
                at += 1
                continue
            step, point = 1, -1
            if byte == 38:
                if at + 1 < n and page[at + 1] == 35:
                    point, step = _reference(page, at, n)
                    if point < 0:
                        step = 1
                    elif point <= 32 or point == 160:
                        space = True
                        at += step
                        continue
                elif (
                    at + 5 < n and page[at + 1] == 110 and page[at + 2] == 98 and page[at + 3] == 115
                    and page[at + 4] == 112 and page[at + 5] == 59
                ):  # fmt: skip
                    space = True
                    at += 6
                    continue
            elif byte == 0xC2 and at + 1 < n and (page[at + 1] == 0xA0 or page[at + 1] == 0xAD):
                space = space or page[at + 1] == 0xA0
                at += 2
                continue
            elif byte == 0xE2 and at + 2 < n and page[at + 1] == 0x80 and 0x8B <= page[at + 2] <= 0x8F:
                at += 3
                continue
            elif byte == 0xEF and at + 2 < n and page[at + 1] == 0xBB and page[at + 2] == 0xBF:
                at += 3
                continue
            if size == start:
                owner = low = depth - 1
                owner_element = stack[owner]
            else:
                if space:
                    text[size] = 9 if tab else 32
                    size += 1
                    if tab:
                        cells += 1
                        cell = size
                        tab = False
                if low < owner:
                    owner = low
                    owner_element = stack[owner]
            space = False
            broken = False
            if point < 0:
                text[size] = byte
                size += 1
            elif point == 38:
                # What the page means as a plain sign must not be read as a reference once more.
                text[size], text[size + 1], text[size + 2] = 38, 97, 109
                text[size + 3], text[size + 4] = 112, 59
                size += 5
            else:
                size = _utf8(text, size, point)
            at += step
        if link_depth:
            link += size - text_from
        if bold_depth:
            bold += size - text_from

        tag, flags, closing, close_at = 0, 0, False, -1
        mark = np.uint32(0)
        name_start = name_end = at
        if not begin_tag:
            flush = True
        else:
            follows = page[at + 1]
            if follows == 33 or follows == 63:
                if follows == 33 and at + 3 < n and page[at + 2] == 45 and page[at + 3] == 45:
                    end = -1
                    if not comment_endless:
                        here = at + 2
                        while here + 2 < n:
                            if page[here] == 45 and page[here + 1] == 45 and page[here + 2] == 62:
                                end = here + 3
                                break
                            here += 1
                        comment_endless = end < 0
                    if end >= 0:
                        at = end
                        continue
                while at < n and page[at] != 62:
                    at += 1
                at += 1
                continue
            closing = follows == 47
            name_start = at + 2 if closing else at + 1
            name_end = name_start
            while name_end < n and _NAME_BYTE[page[name_end]]:
                name_end += 1
            if name_end - name_start <= 12:
                tag = _lookup(_TABLE_OF_TAGS, _hash(page, name_start, name_end))
            flags = _FLAGS[tag]
            signature = np.int64(tag)
            fact, fact_start, fact_end = 0, 0, 0
            at = name_end
            # Attributes, with quotes respected, up to the end of the tag.
            while at < n and page[at] != 62:
                if _SPACE[page[at]] or page[at] == 47:
                    at += 1
                    continue
                key_start = at
                while at < n and not _SPACE[page[at]] and page[at] != 61 and page[at] != 62 and page[at] != 47:
                    at += 1
                key_end = at
                if at == key_start:
                    at += 1
                    continue
                while at < n and _SPACE[page[at]]:
                    at += 1
                value_start = value_end = at
                if at < n and page[at] == 61:
                    at += 1
                    while at < n and _SPACE[page[at]]:
                        at += 1
                    if at < n and (page[at] == 34 or page[at] == 39):
                        quote = page[at]
                        at += 1
                        value_start = at
                        while at < n and page[at] != quote:
                            at += 1
                        value_end = at
                        at += 1
                    else:
                        value_start = at
                        while at < n and not _SPACE[page[at]] and page[at] != 62:
                            at += 1
                        value_end = at
                if closing or key_end - key_start > 16:
                    continue
                kind = _lookup(_TABLE_OF_ATTRIBUTES, _hash(page, key_start, key_end))
                if kind == 0:
                    continue
                value_end = min(value_end, value_start + 400, n)
                if kind == 6 or (kind == 2 and tag == _META):
                    fact = _hash(page, value_start, value_end)
                elif kind == 7:
                    fact_start, fact_end = value_start, value_end
                elif kind == 8 and tag == _TIME or kind == 9 and tag == _HTML:
                    fact = _SAYS_TIME if kind == 8 else _SAYS_LANG
                    fact_start, fact_end = value_start, value_end
                elif kind <= 2:
                    mark |= _word_groups(page, value_start, value_end)
                    if kind == 1 and page[key_start] == 99 and key_end - key_start == 5:
                        signature ^= _hash(page, value_start, value_end) << 8
                    if kind == 2:
                        value = _hash(page, value_start, value_end)
                        if value == _ARTICLE_BODY:
                            mark |= np.uint32(BODY_ITEM)
                        elif value == _MAIN or value == _ARTICLE:
                            mark |= np.uint32(MAIN_ROLE)
                elif kind == 3:
                    if _styled_away(page, value_start, value_end):
                        mark |= np.uint32(HIDDEN)
                elif kind == 4 or (kind == 5 and value_end > value_start and page[value_start] == 116):
                    mark |= np.uint32(HIDDEN)
            at += 1
            if fact and fact_end > fact_start and num_facts < MOST_FACTS:
                facts[num_facts, 0], facts[num_facts, 1] = fact, fact_start
                facts[num_facts, 2] = fact_end
                num_facts += 1

            if not closing and flags & (_RAW | _SKIP):
                found = -1
                if not endless[tag]:
                    found = _end_tag(page, min(at, n), name_start, name_end)
                    endless[tag] = found < 0
                if found >= 0:
                    if tag == _TITLE and title_end == 0:
                        title_start, title_end = at, found
                    at = found
                    while at < n and page[at] != 62:
                        at += 1
                    at += 1
                    continue
                if flags & _RAW and tag != _TITLE:
                    at = n
                    continue

            # What the tag does to the open elements, before it opens or closes its own.
            keep = depth
            if closing:
                if open_tags[tag] and tag:
                    found = depth - 1
                    block = flags & _BLOCK
                    while found > 0 and elements[stack[found], TAG] != tag:
                        # The end of a phrase never closes the block that it stands in.
                        if not block and _FLAGS[elements[stack[found], TAG]] & _BLOCK:
                            found = 0
                            break
                        found -= 1
                    if found > 0:
                        keep = found
                elif tag == 0 and depth > 1:
                    found = depth - 1
                    value = _hash(page, name_start, name_end)
                    while found > 0 and not (
                        elements[stack[found], TAG] == 0 and elements[stack[found], ALIKE] == np.int32(value & 0x7FFFFFFF)
                    ):
                        if _FLAGS[elements[stack[found], TAG]] & _BLOCK or depth - found > 16:
                            found = 0
                            break
                        found -= 1
                    if found > 0:
                        keep = found
            elif flags & _BLOCK and not flags & _VOID:
                if open_tags[_P]:
                    keep = _implied(elements, stack, keep, _P, _P, _TD, _TABLE)
                if tag == _LI and open_tags[_LI]:
                    keep = _implied(elements, stack, keep, _LI, _LI, _UL, _OL)
                elif (tag == _TD or tag == _TH) and (open_tags[_TD] or open_tags[_TH]):
                    keep = _implied(elements, stack, keep, _TD, _TH, _TR, _TABLE)
                elif tag == _TR and open_tags[_TR]:
                    keep = _implied(elements, stack, keep, _TR, _TR, _TABLE, _TABLE)
                elif (tag == _DT or tag == _DD) and (open_tags[_DT] or open_tags[_DD]):
                    keep = _implied(elements, stack, keep, _DT, _DD, _DL, _DL)
                elif tag == _OPTION and open_tags[_OPTION]:
                    keep = _implied(elements, stack, keep, _OPTION, _OPTION, _OPTION, _OPTION)
            if flags & _BLOCK:
                if tag == _BR:
                    if size > start:
                        breaks += 1
                        if broken or pre_depth:
                            flush = not pre_depth
                            if pre_depth:
                                text[size] = 10
                                size += 1
                        else:
                            broken = True
                            space = True
                elif (tag == _TD or tag == _TH) and size - cell < CELL_BYTES:
                    space = space or size > start
                    tab = size > start
                else:
                    flush = True

        if flush:
            if size > start:
                if num_blocks == len(blocks):
                    grown = np.empty((2 * num_blocks, NUM_BLOCK), np.int32)
                    grown[:num_blocks] = blocks
                    blocks = grown
                blocks[num_blocks, START], blocks[num_blocks, END] = start, size
                blocks[num_blocks, OWNER] = owner_element
                blocks[num_blocks, LINK_BYTES], blocks[num_blocks, BOLD_BYTES] = link, bold
                blocks[num_blocks, BREAKS], blocks[num_blocks, CELLS] = breaks, cells
                num_blocks += 1
            start = cell = size
            tab = False
            cells = 0
            link = bold = breaks = 0
            space = broken = False
            if num_blocks == MOST_BLOCKS:
                at = n
        if not begin_tag or num_blocks == MOST_BLOCKS:
            break

        while depth > keep:
            depth -= 1
            closed = stack[depth]
            # A block that is not finished yet has begun within it.
            elements[closed, LAST] = num_blocks + (size > start)
            open_tags[elements[closed, TAG]] -= 1
            low = min(low, depth - 1)
        if link_depth > depth:
            link_depth = 0
        if bold_depth > depth:
            bold_depth = 0
        if pre_depth > depth:
            pre_depth = 0
        if tag == _A:
            link_depth = 0 if closing else depth
        elif not closing and not flags & _VOID and depth < DEPTH and num_elements < MOST_ELEMENTS:
            if num_elements == len(elements):
                grown = np.empty((2 * num_elements, NUM_ELEMENT), np.int32)
                grown[:num_elements] = elements
                elements = grown
                more = np.zeros(2 * num_elements, np.uint32)
                more[:num_elements] = hints
                hints = more
            elements[num_elements, TAG], elements[num_elements, PARENT] = tag, stack[depth - 1]
            elements[num_elements, FIRST] = elements[num_elements, LAST] = num_blocks
            # Unknown tags are told apart by their names, known ones by tag and class.
            if tag == 0:
                signature = _hash(page, name_start, name_end)
            elements[num_elements, ALIKE] = np.int32(signature & 0x7FFFFFFF)
            elements[num_elements, LEVEL] = depth
            hints[num_elements] = 0 if tag == _BODY or tag == _HTML else mark
            stack[depth] = num_elements
            open_tags[tag] += 1
            depth += 1
            num_elements += 1
            if tag == _PRE and not pre_depth:
                pre_depth = depth
            elif (tag == _B or tag == _STRONG) and not bold_depth:
                bold_depth = depth

    for level in range(depth):
        elements[stack[level], LAST] = num_blocks
    return (
        text[:size], blocks[:num_blocks], elements[:num_elements], hints[:num_elements],
        title_start, title_end, facts[:num_facts],
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _implied(elements, stack, depth, one, other, stop, stop_too):
    """How many elements stay open when a start tag ends an open `one` or `other`, unless within a stop."""
    here = depth - 1
    while here > 0:
        tag = elements[stack[here], TAG]
        if tag == one or tag == other:
            return here
        if tag == stop or tag == stop_too:
            return depth
        here -= 1
    return depth


@numba.njit(cache=True, nogil=True)
def _styled_away(page, start, end):
    """Whether a style says `display: none`."""
    here = start
    while here + 11 <= end:
        if page[here] == 100 and page[here + 1] == 105 and page[here + 2] == 115 and page[here + 6] == 121:
            here += 7
            while here < end and (page[here] == 58 or _SPACE[page[here]]):
                here += 1
            if here + 1 < end and page[here] == 110 and page[here + 1] == 111:
                return True
        here += 1
    return False
