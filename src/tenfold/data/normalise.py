"""One spelling for one text: Unicode form, line ends, invisible characters, blank space.

What a reader would not see as a change, and only that: words, case and indentation stay. Idempotent.
"""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile(r"\r\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_INVISIBLE = re.compile(
    # C0 and C1 controls but tab and line feed; zero-width and direction marks; byte order mark;
    # replacement-free noncharacters. Zero-width joiners stay: scripts and emoji need them.
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe\uffff]"
)
_ODD_SPACES = re.compile(r"[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LINE_TAIL = re.compile(r"(?<![ \t])[ \t]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{4,}")


def normalise(text: str) -> str:
    """NFC (Unicode Annex 15), LF line ends, no invisible characters, at most two blank lines in a row."""
    text = _LINE_ENDS.sub("\n", text)
    if not text.isascii():
        text = _ODD_SPACES.sub(" ", _INVISIBLE.sub("", text))
        # Composition after the removal: a mark may have stood between a letter and its accent.
        text = unicodedata.normalize("NFC", text)
    else:
        text = _INVISIBLE.sub("", text)
    text = _BLANK_LINES.sub("\n\n\n", _LINE_TAIL.sub("", text))
    return text.strip("\n").rstrip()
