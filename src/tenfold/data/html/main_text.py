"""What a person would call the text of a web page: the article, without what stands around it.

Joins decoding, scanning, features and trees; nothing here reads a file but the trees, once. A page that gives
nothing says why in `cause`; no bytes whatever raise.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from pathlib import Path

import numpy as np

from tenfold.data.html import about, decode, features, forest, scan, second_look
from tenfold.data.html.forest import Array

MOST_BYTES = 64 << 20
"""A page above this is not read: no page that people read is near it."""
EVEN = 0.0
"""Log odds above which a block is part of the main text."""
FIRST_TREES = Path(__file__).with_name("first.npz")
SECOND_TREES = Path(__file__).with_name("second.npz")
_BARE_BLOCKS, _BARE_BYTES = 5, 140
"""A page of so few parts has nothing around its text: what is so long and no link is the text."""
_BINARY = (
    b"%PDF",
    b"\x89PNG",
    b"PK\3\4",
    b"\x1f\x8b",
    b"GIF8",
    b"\xff\xd8\xff",
    b"\x7fELF",
    b"RIFF",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MainText:
    """What a page says, and what it says about itself."""

    text: str
    """One block a line, cells of a table's row apart by tabs."""
    title: str | None = None
    date: datetime | None = None
    """When it was published, where the page says so in a way made for machines; UTC."""
    language: str | None = None
    """The page's own word for it, as its tag stands in `lang`."""
    encoding: str = ""
    cause: str | None = None
    """Why there is no text: `empty`, `too_large`, `binary`, `too_many_blocks`, `no_text`,
    `no_main_text`."""


def main_text(html: bytes, encoding: str | None = None) -> MainText:
    """The main text of a page. `encoding`: what the server said it is, if it did."""
    if not html.strip(b" \t\r\n\0"):
        return MainText(text="", cause="empty")
    if len(html) > MOST_BYTES:
        return MainText(text="", cause="too_large")
    if html.startswith(_BINARY):
        return MainText(text="", cause="binary")
    page, found = decode.utf8(html, encoding)
    if page.count(b"\0") > len(page) // 20:
        return MainText(text="", encoding=found, cause="binary")
    buffer = np.frombuffer(page, np.uint8)
    scanned = scan.scan(buffer)
    text, blocks, _, _, title_start, title_end, facts = scanned
    told = about.page(page, title_start, title_end, facts)
    if not len(blocks):
        return MainText(text="", encoding=found, cause="no_text", **told)
    if len(blocks) >= scan.MOST_BLOCKS:  # what follows was not read
        return MainText(text="", encoding=found, cause="too_many_blocks", **told)
    kept = blocks[judged(*features.features(buffer, *scanned)) > EVEN]
    if not len(kept) and len(blocks) <= _BARE_BLOCKS:
        size = blocks[:, scan.END] - blocks[:, scan.START]
        kept = blocks[(size >= _BARE_BYTES) & (2 * blocks[:, scan.LINK_BYTES] < size)]
    said = text.tobytes()
    lines = [said[start:end] for start, end in kept[:, :2].tolist()]
    main = plain(b"\n".join(lines))
    return MainText(text=main, encoding=found, cause=None if main else "no_main_text", **told)


def plain(text: bytes) -> str:
    """Text of a page with its references resolved."""
    said = text.decode("utf-8", "replace")
    if "&" in said:
        with suppress(ValueError):  # a number of thousands of digits, put together from pieces
            said = unescape(said).replace("\xa0", " ")
    return said.strip()


def judged(rows: Array, num_words: Array, near: Array) -> Array:
    """The log odds of each block to be main text, from its features (as `features.features` gives them)."""
    first, second = _trees()
    return second(second_look.second_look(rows, first(rows), num_words, near))


@functools.cache
def _trees() -> tuple[forest.Forest, forest.Forest]:
    return (
        forest.load(FIRST_TREES, features.NAMES),
        forest.load(SECOND_TREES, second_look.NAMES),
    )
