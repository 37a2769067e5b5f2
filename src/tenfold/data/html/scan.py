"""From the bytes of a page to blocks of text and the elements around them, in one pass.

No tree is built: a stack of open elements is enough to know what a text stands in, and it bounds what a
hostile page can cost (time and memory grow with its bytes, whatever is nested in what). End tags that are
left out are put in as browsers do for p, li, table cells, options and definitions (WHATWG, 13.2.6); markup that
browsers would move elsewhere stays where it is. Knows nothing of what text is worth.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import tags
from tenfold.data.html.markup import (
    LOWER,
    NAME_BYTE,
    SPACE,
    end_tag,
    lookup,
    name_hash,
    put,
    reference,
    styled_away,
    word_groups,
)  # fmt: skip

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

_ATTRIBUTES = {"class": 1, "id": 1, "role": 2, "itemprop": 2, "style": 3, "hidden": 4}
_ATTRIBUTES |= {"name": 6, "property": 6, "content": 7, "datetime": 8, "lang": 9}
_ATTRIBUTES |= {"aria-label": 1, "aria-hidden": 5, "data-component": 1, "data-testid": 1, "rel": 1}
_TABLE_OF_ATTRIBUTES = tags.table(_ATTRIBUTES)


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
                if (97 <= LOWER[follows] <= 122) or follows == 47 or follows == 33 or follows == 63:
                    begin_tag = True
                    break
            if SPACE[byte]:
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
                    point, step = reference(page, at, n)
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
            elif (
                byte == 0xE2
                and at + 2 < n
                and page[at + 1] == 0x80
                and 0x8B <= page[at + 2] <= 0x8F
            ) or (byte == 0xEF and at + 2 < n and page[at + 1] == 0xBB and page[at + 2] == 0xBF):
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
                size = put(text, size, point)
            at += step
        if link_depth:
            link += size - text_from
        if bold_depth:
            bold += size - text_from

        tag, flags, closing = 0, 0, False
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
            while name_end < n and NAME_BYTE[page[name_end]]:
                name_end += 1
            if name_end - name_start <= 12:
                tag = lookup(_TABLE_OF_TAGS, name_hash(page, name_start, name_end))
            flags = _FLAGS[tag]
            signature = np.int64(tag)
            fact, fact_start, fact_end = 0, 0, 0
            at = name_end
            # Attributes, with quotes respected, up to the end of the tag.
            while at < n and page[at] != 62:
                if SPACE[page[at]] or page[at] == 47:
                    at += 1
                    continue
                key_start = at
                while (
                    at < n
                    and not SPACE[page[at]]
                    and page[at] != 61
                    and page[at] != 62
                    and page[at] != 47
                ):
                    at += 1
                key_end = at
                if at == key_start:
                    at += 1
                    continue
                while at < n and SPACE[page[at]]:
                    at += 1
                value_start = value_end = at
                if at < n and page[at] == 61:
                    at += 1
                    while at < n and SPACE[page[at]]:
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
                        while at < n and not SPACE[page[at]] and page[at] != 62:
                            at += 1
                        value_end = at
                if closing or key_end - key_start > 16:
                    continue
                kind = lookup(_TABLE_OF_ATTRIBUTES, name_hash(page, key_start, key_end))
                if kind == 0:
                    continue
                value_end = min(value_end, value_start + 400, n)
                if kind == 6 or (kind == 2 and tag == _META):
                    fact = name_hash(page, value_start, value_end)
                elif kind == 7:
                    fact_start, fact_end = value_start, value_end
                elif (kind == 8 and tag == _TIME) or (kind == 9 and tag == _HTML):
                    fact = _SAYS_TIME if kind == 8 else _SAYS_LANG
                    fact_start, fact_end = value_start, value_end
                elif kind <= 2:
                    mark |= word_groups(page, value_start, value_end)
                    if kind == 1 and page[key_start] == 99 and key_end - key_start == 5:
                        signature ^= name_hash(page, value_start, value_end) << 8
                    if kind == 2:
                        value = name_hash(page, value_start, value_end)
                        if value == _ARTICLE_BODY:
                            mark |= np.uint32(BODY_ITEM)
                        elif value in (_MAIN, _ARTICLE):
                            mark |= np.uint32(MAIN_ROLE)
                elif kind == 3:
                    if styled_away(page, value_start, value_end):
                        mark |= np.uint32(HIDDEN)
                elif kind == 4 or (
                    kind == 5 and value_end > value_start and page[value_start] == 116
                ):
                    mark |= np.uint32(HIDDEN)
            at += 1
            if fact and fact_end > fact_start and num_facts < MOST_FACTS:
                facts[num_facts, 0], facts[num_facts, 1] = fact, fact_start
                facts[num_facts, 2] = fact_end
                num_facts += 1

            if not closing and flags & (_RAW | _SKIP):
                found = -1
                if not endless[tag]:
                    found = end_tag(page, min(at, n), name_start, name_end)
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
                    value = name_hash(page, name_start, name_end)
                    while found > 0 and not (
                        elements[stack[found], TAG] == 0
                        and elements[stack[found], ALIKE] == np.int32(value & 0x7FFFFFFF)
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
                elif tag in (_TD, _TH) and (open_tags[_TD] or open_tags[_TH]):
                    keep = _implied(elements, stack, keep, _TD, _TH, _TR, _TABLE)
                elif tag == _TR and open_tags[_TR]:
                    keep = _implied(elements, stack, keep, _TR, _TR, _TABLE, _TABLE)
                elif tag in (_DT, _DD) and (open_tags[_DT] or open_tags[_DD]):
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
                elif tag in (_TD, _TH) and size - cell < CELL_BYTES:
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
                signature = name_hash(page, name_start, name_end)
            elements[num_elements, ALIKE] = np.int32(signature & 0x7FFFFFFF)
            elements[num_elements, LEVEL] = depth
            hints[num_elements] = 0 if tag in (_BODY, _HTML) else mark
            stack[depth] = num_elements
            open_tags[tag] += 1
            depth += 1
            num_elements += 1
            if tag == _PRE and not pre_depth:
                pre_depth = depth
            elif tag in (_B, _STRONG) and not bold_depth:
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
        if tag in (one, other):
            return here
        if tag in (stop, stop_too):
            return depth
        here -= 1
    return depth
