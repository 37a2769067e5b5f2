"""The tags of HTML as small numbers, and what each does to the flow of text (WHATWG, 4.3 to 4.11, 15.3).

Also the tables that tell a name's bytes apart in a kernel. Knows names only, no page.
"""

from __future__ import annotations

import numpy as np

VOID = 1
"""Has no end tag and no text."""
BLOCK = 2
"""Starts a line of its own: text before and after is other text."""
RAW = 4
"""Nothing within is markup: everything up to the end tag is passed over."""
SKIP = 8
"""Markup, but not text that a reader sees; passed over when it has an end tag."""

_FLAGS = {
    VOID: "area base col embed img input link meta param source track wbr",
    VOID | BLOCK: "br hr",
    RAW: "script style textarea title xmp iframe noembed noframes",
    SKIP: "noscript template svg math select object canvas audio video map datalist",
    BLOCK: (
        "address article aside blockquote body center dd details dialog dir div dl dt fieldset"
        " figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup html legend li"
        " listing main menu nav ol optgroup option p pre section summary table tbody td tfoot th"
        " thead tr ul caption button"
    ),
    0: (
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark"
        " q s samp small span strike strong sub sup time tt u var head picture"
    ),
}

NAMES: tuple[str, ...] = (
    "",
    *sorted(name for names in _FLAGS.values() for name in names.split()),
)
"""Number -> name; 0 is every name that is not here."""
NUMBER = {name: number for number, name in enumerate(NAMES)}
FLAGS = np.zeros(len(NAMES), np.uint8)
for _flag, _names in _FLAGS.items():
    for _name in _names.split():
        FLAGS[NUMBER[_name]] = _flag

FNV_OFFSET, FNV_PRIME, MASK = 2166136261, 16777619, 0xFFFFFFFF
_SLOTS = 1024


def fnv(name: bytes) -> int:
    """FNV-1a, 32 bits (RFC draft-eastlake-fnv): what kernels make of a name's bytes."""
    value = FNV_OFFSET
    for byte in name:
        value = ((value ^ byte) * FNV_PRIME) & MASK
    return value


def table(names: dict[str, int]) -> np.ndarray:
    """`uint32[1024, 2]`: hash and number by the low bits of the hash, linear probing, number 0: empty."""
    slots = np.zeros((_SLOTS, 2), np.uint32)
    for name, number in names.items():
        value = fnv(name.encode())
        at = value % _SLOTS
        while slots[at, 1]:
            at = (at + 1) % _SLOTS
        slots[at] = value, number
    return slots


TABLE = table({name: number for name, number in NUMBER.items() if name})
