"""Bytes -> text, saying what had to be done for it. Never guesses in silence.

Order: byte order mark; the declared encoding; UTF-8; UTF-16 without a mark; UTF-8 with damaged places; what
the statistics of the bytes say. A repair has a name in docs/data-sources.md. Knows no file.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from resiliparse.parse.encoding import detect_encoding

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))
_BINARY_SHARE = 0.05
"""Control bytes among all from which bytes are no text in any encoding; prose has none."""
_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    repaired: tuple[str, ...] = ()
    """`encoding`: not the declared one or UTF-8; `damaged`: U+FFFD stands for broken UTF-8; `nul`: U+FFFD
    stands for NUL; `surrogate`: U+FFFD stands for half a pair."""
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Undecodable:
    cause: str
    """`binary` or `encoding`."""
    fact: str


def mark(data: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark at the start names, and the mark's length."""
    for sign, name in _MARKS:
        if data.startswith(sign):
            return name, len(sign)
    return None


def decode(data: bytes, declared: str | None = None) -> Text | Undecodable:
    """`declared`: what the source says it is; wrong as often as not, so it is tried, not believed."""
    if marked := mark(data):
        name, skip = marked
        try:
            return _clean(data[skip:].decode(name), (), name)
        except UnicodeDecodeError as error:
            if name != "utf-8":
                return Undecodable("encoding", f"marked as {name}, but broken: {error.reason}")
            data = data[skip:]
    first = _known(declared) or "utf-8"
    try:
        return _clean(data.decode(first), (), first)
    except UnicodeDecodeError as error:
        fact = f"not {first} at byte {error.start}"
    if first != "utf-8":
        try:
            return _clean(data.decode("utf-8"), ("encoding",), "utf-8")
        except UnicodeDecodeError:
            pass
    sample = data[:_SAMPLE_BYTES]
    if wide := _wide(sample):
        try:
            return _clean(data.decode(wide), ("encoding",), wide)
        except UnicodeDecodeError:
            return Undecodable("binary", f"{fact}, and no text in {wide}")
    if _is_binary(sample):
        return Undecodable("binary", f"{fact}, and full of control bytes")
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(1 for sign in text[:_SAMPLE_BYTES] if sign > "\x7f" and sign != "\ufffd") > 4 * broken:
        return _clean(text, ("damaged",), "utf-8")  # far more whole sequences than chance would give
    for guess in (_known(detect_encoding(sample)), "windows-1252"):
        if guess is not None and guess != "utf-8":
            try:
                return _clean(data.decode(guess), ("encoding",), guess)
            except UnicodeDecodeError:
                continue
    return Undecodable("encoding", f"{fact}, and in no encoding that it looks like")


def _clean(text: str, repaired: tuple[str, ...], encoding: str) -> Text | Undecodable:
    if "\0" in text:
        if _is_binary(text[:_SAMPLE_BYTES].encode("utf-8", "replace")):
            return Undecodable("binary", "full of NUL and other control bytes")
        text, repaired = text.replace("\0", "\ufffd"), (*repaired, "nul")
    return Text(text, repaired, encoding)


def _known(name: str | None) -> str | None:
    try:
        info = codecs.lookup(name) if name else None
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None
    if info is None or not info._is_text_encoding:  # hex, zlib and the like are codecs, too
        return None
    if info.name in ("iso8859-1", "ascii"):
        return "windows-1252"  # as browsers read these names (WHATWG Encoding, 4.2)
    return info.name


def _wide(sample: bytes) -> str | None:
    """UTF-16 of mostly Latin text: every other byte is NUL."""
    if len(sample) < 4:
        return None
    half = len(sample) // 2
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    if low > 0.5 * half and high < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if high > 0.5 * half and low < 0.05 * half else None


def _is_binary(sample: bytes) -> bool:
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls > _BINARY_SHARE * len(sample)
