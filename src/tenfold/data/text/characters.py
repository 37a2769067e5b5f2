"""What each Unicode character is to the tokeniser and to the rules: one word of flags per code point.

The classes are those that English spaCy cuts words by (spacy.lang.char_classes, punctuation) and that
datatrove counts by (utils/text.py), said here in Unicode's own terms: general categories, scripts and the
property Sentence_Terminal. Knows characters one by one; knows no words.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE = 1
"""`str.isspace`."""
ALPHA = 2
"""A letter to the tokeniser: Latin, Greek, Cyrillic of four languages, and scripts without case."""
LOWER = 4
UPPER = 8
PREFIX = 16
"""Cut off in front of a word."""
SUFFIX = 32
"""Cut off behind a word."""
QUOTE = 64
ICON = 128
"""Symbols such as emoji, and the ellipsis: cut out wherever they stand."""
MARK = 256
"""Behind it a full stop is a token of its own."""
CURRENCY = 512
LETTER = 1024
"""`str.isalpha`."""
SYMBOL = 2048
"""Words made only of these are not words to Gopher's rules, as datatrove counts."""
TERMINAL = 4096
"""Ends a sentence: Unicode's property Sentence_Terminal."""
POINT = 8192
"""Punctuation by category (P*)."""

_CODES = 0x110000
_TERMINALS = (
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e "
    "1735-1736 17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e "
    "1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 "
    "a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 "
    "10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd "
    "111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 "
    "1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 "
    "16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
)
_UNCASED = (
    "591-5f4 620-64a 66e-6d5 6e5-6ff 750-77f 8a0-8bd 900-9ff b80-cff d80-dff 1100-137f 2e80-2fdf "
    "2ff0-30ff 31c0-31ef 3200-4dbf 4e00-9fff ac00-d7af f900-faff fb1d-fbb1 fbd3-fd3d fd50-fdc7 "
    "fdf0-fdfb fe30-fe4f fe70-fefc 1ee00-1eebb 1f200-1f2ff 20000-2a6df 2a700-2ebef 2f800-2fa1f"
)
_CASED = (
    "41-5a 61-7a c0-d6 d8-f6 f8-1bf 1c4-2af 386 388-38a 38c 38e-38f 391-3a9 3ac-3af 3b1-3c9 3cc-3ce 400-401 "
    "403-40a 40c-40d 410-451 453-45a 45c-45d 490-491 496-497 4a2-4a3 4ae-4af 4ba-4bb 4d8-4d9 4e8-4e9 "
    "1d00-1d25 1d6b-1d77 1d79-1d9a 1e00-1eff 2c60-2c7b 2c7e-2c7f a722-a76f a771-a787 a78b-a78e "
    "a790-a7b9 a7fa ab30-ab5a ab60-ab64 ff21-ff3a ff41-ff5a"
)
_PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
_CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
_SYMBOLS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～"  # ASCII's, then wider
_SYMBOL_WORLDS = "e-1f 0-8 b-c 7f-9f"
"""Control characters; tab, line feed and carriage return never reach a token."""
_ICON_PLACES = "a6-33ff 4dc0-4dff a490-aa79 fdfd ffe4-fffd 10137-101fc 10877-16b45 1bc9c-1da86 1ecac-1f9ff 1fa60-1fa6d"


def _codes(ranges: str) -> npt.NDArray[np.int64]:
    parts = [part.partition("-") for part in ranges.split()]
    return np.concatenate(
        [np.arange(int(low, 16), int(high or low, 16) + 1) for low, _, high in parts]
    )


def _of(text: str) -> list[int]:
    return [ord(character) for character in text]


@cache
def flags() -> npt.NDArray[np.uint16]:
    """The flags of every code point, shape (1,114,112,); made once in a process, in about 0.1 s."""
    every = np.arange(_CODES, dtype=np.uint32)
    every[0xD800:0xE000] = 0  # surrogates: no character of UTF-8
    characters = every.view("<U1")
    table = np.zeros(_CODES, dtype=np.uint16)
    table[np.strings.isspace(characters)] |= SPACE
    table[0x1C:0x20] |= SPACE
    table[np.strings.isalpha(characters)] |= LETTER
    cased = _codes(_CASED)
    table[cased] |= ALPHA
    table[cased[np.strings.islower(characters[cased])]] |= LOWER
    table[cased[np.strings.isupper(characters[cased])]] |= UPPER
    table[_codes(_UNCASED)] |= ALPHA | LOWER | UPPER
    for code in _codes(_ICON_PLACES):
        if unicodedata.category(chr(code)) == "So":
            table[code] |= ICON | PREFIX | SUFFIX
    table[_of("…")] |= ICON
    table[_of(_PUNCTUATION + _QUOTES + "—–")] |= PREFIX | SUFFIX
    table[_of("§%=" + _CURRENCIES)] |= PREFIX
    table[_of(_CURRENCIES)] |= CURRENCY
    table[_of(_QUOTES)] |= QUOTE
    table[_of("0123456789%²-+|" + _PUNCTUATION + _QUOTES)] |= MARK
    table[_of(_SYMBOLS)] |= SYMBOL
    table[_codes(_SYMBOL_WORLDS)] |= SYMBOL
    table[_codes(_TERMINALS)] |= SYMBOL | TERMINAL
    for low, high in ((0x21, 0x30FF), (0xA4FE, 0xABEC), (0xFD3E, 0xFF66)):
        for code in range(low, high):
            if unicodedata.category(chr(code))[0] == "P":
                table[code] |= POINT
    return table
