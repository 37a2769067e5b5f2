"""What is known of a block, as numbers: its own text, what it stands in, its place, its neighbours.

The ideas are those of boilerplate detection: link and text density and neighbours (Kohlschütter et al., 2010),
words in classes and ids (readability), containers that hold most of the prose (CETD, Sun et al., 2011). Knows
blocks and elements of `scan`, not how they are judged.
"""

from __future__ import annotations

import numba
import numpy as np

from tenfold.data.html import block_text, scan, tags, words

_N = tags.NUMBER

NUM_NAME_GROUPS = len(words.IN_NAMES)

KINDS = (
    ("p",), ("h1",), ("h2", "h3"), ("h4", "h5", "h6"), ("li",), ("td", "th"), ("div",), ("blockquote",),
    ("figcaption", "caption", "figure"), ("pre",), ("dt", "dd"), ("section", "article", "main"),
    ("button", "label", "legend", "summary", "form"), ("header", "footer", "nav", "aside"),
)  # fmt: skip
"""Kinds of elements that blocks belong to; the number of a kind is a feature, 0 is any other."""
_KIND = np.zeros(len(tags.NAMES), np.int64)
for _number, _names in enumerate(KINDS, 1):
    for _name in _names:
        _KIND[_N[_name]] = _number

WITHIN = ("article", "main", "aside", "nav", "footer", "header", "form", "table", "ul", "ol",
          "blockquote", "figure", "button", "dl", "a", "section")  # fmt: skip
"""Elements whose being around a block is a feature: how many levels above, 0 is nowhere."""
_WITHIN = np.full(len(tags.NAMES), -1, np.int64)
for _number, _name in enumerate(WITHIN):
    _WITHIN[_N[_name]] = _number

_NAMES_OF = list(words.IN_NAMES)
_COMMENTS = np.uint32(1 << _NAMES_OF.index("comment"))
_ASIDE = np.uint32(
    sum(
        1 << _NAMES_OF.index(name) for name in ("related", "nav", "foot", "pop", "author", "letter")
    )
)
_IS_ASIDE = np.zeros(len(tags.NAMES), np.bool_)
for _name in ("aside", "nav", "footer", "form"):
    _IS_ASIDE[_N[_name]] = True
_LEADS = np.array(
    [tags.fnv(name) for name in (b"og:description", b"description", b"twitter:description")]
)

FAR = 16
"""Levels above a block that are looked at."""
_GOOD_WORDS = 12
_GOOD_LINKS = 0.35

OWN = (
    "words", "bytes", "link_share", "word_length", "marks_per_word", "sentence_end", "capital_start",
    "capitals_share", "digits_share", "commas", "quotes", "kind", "breaks", "bold_share", "short_share",
    "colon_end", "good", "level", "cells",
)  # fmt: skip
AROUND = (
    "parent_words_share", "parent_links", "parent_blocks", "parent_good_share", "grand_good_share",
    "great_good_share", "grand_links", "alike", "alike_parent", "alike_grand", "best_inside", "best_levels",
    "best_share", "article_item", "main_role", "hidden", "parent_prose", "only_levels",
    "parent_mean_words", "levels_to_good", "level_from_best",
)  # fmt: skip
_PLACE = (
    "index_share", "words_before_share", "after_h1", "blocks_since_h1", "good_before", "good_after",
    "since_good", "until_good", "page_good", "page_words", "good_before_share", "is_title", "title_before",
    "num_articles", "seen_before", "page_blocks",
    "is_lead", "since_lead", "title_words",
)  # fmt: skip
_BESIDE = (
    *(
        f"{what}_{offset:+d}"
        for offset in (-3, -2, -1, 1, 2, 3)
        for what in ("words", "links", "kind", "same_parent", "sentence")
    ),
    "near_words",
    "near_links",
    "wide_words",
    "wide_links",
    "run_same_parent",
    "alike_before",
    "alike_after",
)

NAMES: tuple[str, ...] = (
    *OWN,
    *(f"text_{name}" for name in words.IN_TEXT),
    *(f"within_{name}" for name in WITHIN),
    *(f"named_{name}" for name in words.IN_NAMES),
    *AROUND,
    *_PLACE,
    *_BESIDE,
)
"""The columns, in order."""
_AT = {name: column for column, name in enumerate(NAMES)}
_TEXT_0 = _AT[f"text_{next(iter(words.IN_TEXT))}"]
_WITHIN_0 = _AT[f"within_{WITHIN[0]}"]
_NAMED_0 = _AT[f"named_{next(iter(words.IN_NAMES))}"]
_AROUND_0, _PLACE_0, _BESIDE_0 = _AT[AROUND[0]], _AT[_PLACE[0]], _AT[_BESIDE[0]]
_F_ARTICLE = _N["article"]
_F_H1 = _N["h1"]

SHARED = 0.7
"""An element with this share of the page's prose stands around nearly all of the article: what it is called
tells no block from another."""


@numba.njit(cache=True, nogil=True)
def _alike(elements):
    """For each element, how many children of its parent have its tag and class, itself included."""
    num = len(elements)
    slots = 16
    while slots < 2 * num:
        slots *= 2
    holder = np.full(slots, -1, np.int32)
    count = np.zeros(slots, np.int32)
    place = np.empty(num, np.int32)
    for e in range(num):
        key = np.uint64(elements[e, scan.ALIKE]) * np.uint64(0x9E3779B97F4A7C15)
        key ^= np.uint64(elements[e, scan.PARENT] + 1) * np.uint64(0xC2B2AE3D27D4EB4F)
        at = np.int64((key ^ (key >> np.uint64(29))) & np.uint64(slots - 1))
        while holder[at] >= 0 and (
            elements[holder[at], scan.ALIKE] != elements[e, scan.ALIKE]
            or elements[holder[at], scan.PARENT] != elements[e, scan.PARENT]
        ):
            at = (at + 1) & (slots - 1)
        holder[at] = e
        count[at] += 1
        place[e] = at
    return count[place]


@numba.njit(cache=True, nogil=True)
def _aside(elements, hints, here, num):
    """Whether an element stands in what its page calls comments, navigation, related pages or the like."""
    while here > 0:
        share = (elements[here, scan.LAST] - elements[here, scan.FIRST]) / num
        if hints[here] & _COMMENTS and share < 0.95:
            return True
        if share < 0.5 and (hints[here] & _ASIDE or _IS_ASIDE[elements[here, scan.TAG]]):
            return True
        here = elements[here, scan.PARENT]
    return False


@numba.njit(cache=True, nogil=True)
def features(page, text, blocks, elements, hints, title_start, title_end, facts):
    """Of what `scan` found: (features `float32[blocks, len(NAMES)]`, words `int32[blocks]`, first and last
    block, without the last, of the container around each block and of the one around that `int32[blocks, 4]`)."""
    num = len(blocks)
    x = np.zeros((num, len(NAMES)), np.float32)
    num_words = np.empty(num, np.int32)
    hashes = np.empty(num, np.uint64)
    good = np.zeros(num, np.bool_)
    to_words, to_good = np.zeros(num + 1), np.zeros(num + 1)
    to_bytes, to_links = np.zeros(num + 1), np.zeros(num + 1)
    to_prose = np.zeros(num + 1)
    alike = _alike(elements)
    num_articles = 0
    for e in range(len(elements)):
        num_articles += elements[e, scan.TAG] == _F_ARTICLE

    for i in range(num):
        row = x[i]
        start, end = blocks[i, scan.START], blocks[i, scan.END]
        num_words[i], hashes[i] = block_text.own(
            text, start, end, blocks[i, scan.LINK_BYTES], blocks[i, scan.BOLD_BYTES], row, _TEXT_0
        )
        owner = blocks[i, scan.OWNER]
        here = owner
        while here > 0 and _KIND[elements[here, scan.TAG]] == 0:
            here = elements[here, scan.PARENT]
        row[11] = _KIND[elements[here, scan.TAG]]
        row[12] = min(blocks[i, scan.BREAKS], 8)
        good[i] = (
            num_words[i] >= _GOOD_WORDS
            and row[2] < _GOOD_LINKS
            and not _aside(elements, hints, owner, num)
        )
        row[16] = good[i]
        row[17] = elements[owner, scan.LEVEL]
        row[18] = min(blocks[i, scan.CELLS], 16)
        to_words[i + 1] = to_words[i] + num_words[i]
        to_good[i + 1] = to_good[i] + (num_words[i] if good[i] else 0)
        to_bytes[i + 1] = to_bytes[i] + end - start
        to_links[i + 1] = to_links[i] + min(blocks[i, scan.LINK_BYTES], end - start)
        to_prose[i + 1] = to_prose[i] + (row[11] == 1)
    all_words, all_good = max(1.0, to_words[num]), max(1.0, to_good[num])

    # Which container holds the prose: blocks vote for what stands around them.
    near = np.zeros((num, 3), np.int32)
    score = np.zeros(len(elements))
    for i in range(num):
        here, size, level = blocks[i, scan.OWNER], 1, 0
        last = here
        while here >= 0 and level < 3:
            count = elements[here, scan.LAST] - elements[here, scan.FIRST]
            if count > size:
                near[i, level] = here
                size = count
                level += 1
            last = here
            here = elements[here, scan.PARENT]
        while level < 3:
            near[i, level] = last
            level += 1
        if good[i]:
            score[near[i, 0]] += num_words[i]
            score[near[i, 1]] += 0.5 * num_words[i]
    best = np.argmax(score)
    best_first, best_last = elements[best, scan.FIRST], elements[best, scan.LAST]

    title_bits, num_title = block_text.long_words(page, title_start, title_end)
    lead_at = -1
    h1, since, title_seen = -1, 1 << 20, 0.0
    slots = 16
    while slots < 2 * num:
        slots *= 2
    seen = np.zeros(slots, np.uint64)
    for i in range(num):
        row = x[i]
        # Around.
        here, level, only, shared = blocks[i, scan.OWNER], 1, 0, False
        while here >= 0 and level <= FAR:
            first, last = elements[here, scan.FIRST], elements[here, scan.LAST]
            if (
                not shared
                and to_good[last] - to_good[first] > SHARED * all_good
                and last - first > 1
            ):
                shared = True
            distance = FAR + 1 if shared else level
            only += last - first == 1
            which = _WITHIN[elements[here, scan.TAG]]
            if which >= 0 and row[_WITHIN_0 + which] == 0:
                row[_WITHIN_0 + which] = distance
            hint = hints[here]
            for group in range(NUM_NAME_GROUPS):
                if (hint >> np.uint32(group)) & np.uint32(1) and row[_NAMED_0 + group] == 0:
                    row[_NAMED_0 + group] = distance
            if hint & np.uint32(scan.BODY_ITEM):
                row[_AROUND_0 + 13] = distance
            if hint & np.uint32(scan.MAIN_ROLE):
                row[_AROUND_0 + 14] = distance
            if hint & np.uint32(scan.HIDDEN):
                row[_AROUND_0 + 15] = distance
            here = elements[here, scan.PARENT]
            level += 1
        around = row[_AROUND_0:_PLACE_0]
        for step in range(3):
            e = near[i, step]
            first, last = elements[e, scan.FIRST], elements[e, scan.LAST]
            in_good = (to_good[last] - to_good[first]) / all_good
            links = (to_links[last] - to_links[first]) / max(1.0, to_bytes[last] - to_bytes[first])
            if step == 0:
                around[0] = (to_words[last] - to_words[first]) / all_words
                around[1] = links
                around[2] = np.log2(1 + last - first)
                around[3] = in_good
                around[16] = (to_prose[last] - to_prose[first]) / (last - first)
                around[18] = (to_words[last] - to_words[first]) / (last - first)
            elif step == 1:
                around[4] = in_good
                around[6] = links
            else:
                around[5] = in_good
        here, step = blocks[i, scan.OWNER], 0
        while here > 0 and step < 3:
            parent = elements[here, scan.PARENT]
            if parent == near[i, step]:
                around[7 + step] = min(alike[here], 32)
                step += 1
                while step < 3 and near[i, step] == near[i, step - 1]:
                    step += 1
            here = parent
        around[10] = best_first <= i < best_last
        here, level, around[19] = blocks[i, scan.OWNER], 0, 0
        mine = num_words[i] if good[i] else 0
        while here >= 0 and level < 4 * FAR:
            if (
                to_good[elements[here, scan.LAST]] - to_good[elements[here, scan.FIRST]] > mine
                and around[19] == 0
            ):
                around[19] = level + 1
            if here == best:
                around[11] = level + 1
                break
            level += 1
            here = elements[here, scan.PARENT]
        around[12] = (to_good[best_last] - to_good[best_first]) / all_good
        around[17] = only
        around[20] = elements[blocks[i, scan.OWNER], scan.LEVEL] - elements[best, scan.LEVEL]
        # Place.
        place = row[_PLACE_0:_BESIDE_0]
        like = block_text.like(
            text, blocks[i, scan.START], blocks[i, scan.END], page, title_start, title_end
        )
        if like > 0.8:
            title_seen = 1.0
        if row[11] == 2:
            h1 = i
        lead = 0.0
        for fact in range(len(facts)):
            if (facts[fact, 0] == _LEADS).any():
                lead = max(
                    lead,
                    block_text.like(
                        text,
                        blocks[i, scan.START],
                        blocks[i, scan.START]
                        + min(100, blocks[i, scan.END] - blocks[i, scan.START]),
                        page,
                        facts[fact, 1],
                        facts[fact, 2],
                    ),
                )
        if lead > 0.8 and num_words[i] > 5:
            lead_at = i
        place[16] = lead
        place[17] = min(i - lead_at, 64) if lead_at >= 0 else -1
        if num_title:
            bits, _ = block_text.long_words(text, blocks[i, scan.START], blocks[i, scan.END])
            both = bits & title_bits
            while both:
                both &= both - np.uint64(1)
                place[18] += 1.0 / num_title
        place[0] = i / num
        place[1] = to_words[i] / all_words
        place[2] = h1 >= 0
        place[3] = min(i - h1, 64) if h1 >= 0 else -1
        place[4] = np.log2(1 + to_good[i])
        place[5] = np.log2(1 + to_good[num] - to_good[i + 1])
        place[6] = min(since, 64)
        place[8], place[9] = np.log2(all_good), np.log2(all_words)
        place[10] = to_good[i] / all_good
        place[11], place[12] = like, title_seen
        place[13] = min(num_articles, 32)
        at = np.int64(hashes[i] >> np.uint64(20)) & (slots - 1)
        while seen[at] and seen[at] != hashes[i]:
            at = (at + 1) & (slots - 1)
        place[14] = seen[at] == hashes[i]
        seen[at] = hashes[i]
        place[15] = np.log2(num)
        since = 0 if good[i] else since + 1
    until = 1 << 20
    for i in range(num - 1, -1, -1):
        x[i, _PLACE_0 + 7] = min(until, 64)
        until = 0 if good[i] else until + 1

    for i in range(num):
        beside = x[i, _BESIDE_0:]
        column = 0
        for offset in (-3, -2, -1, 1, 2, 3):
            j = i + offset
            if 0 <= j < num:
                beside[column] = x[j, 0]
                beside[column + 1] = x[j, 2]
                beside[column + 2] = x[j, 11]
                beside[column + 3] = near[i, 0] == near[j, 0]
                beside[column + 4] = x[j, 5]
            else:
                beside[column] = -1
            column += 5
        for step, reach in enumerate((3, 8)):
            first, last = max(0, i - reach), min(num, i + reach + 1)
            beside[column + 2 * step] = np.log2(1 + to_words[last] - to_words[first] - num_words[i])
            beside[column + 2 * step + 1] = (to_links[last] - to_links[first]) / max(
                1.0, to_bytes[last] - to_bytes[first]
            )
        run = i
        while run > 0 and i - run < 32 and near[run - 1, 0] == near[i, 0]:
            run -= 1
        beside[column + 4] = i - run
        beside[column + 5] = (
            i > 0 and x[i - 1, 11] == x[i, 11] and x[i - 1, _AROUND_0 + 7] == x[i, _AROUND_0 + 7]
        )
        beside[column + 6] = (
            i + 1 < num
            and x[i + 1, 11] == x[i, 11]
            and x[i + 1, _AROUND_0 + 7] == x[i, _AROUND_0 + 7]
        )
    spans = np.empty((num, 4), np.int32)
    for i in range(num):
        for level in range(2):
            spans[i, 2 * level] = elements[near[i, level], scan.FIRST]
            spans[i, 2 * level + 1] = elements[near[i, level], scan.LAST]
    return x, num_words, spans
