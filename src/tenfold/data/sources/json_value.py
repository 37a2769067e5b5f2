"""JSON that says what was wrong with it: equal keys, half surrogates, numbers that are none, depth.

orjson keeps the last of two equal keys without a word, so keys are counted: as many in the bytes as in the
value means there was no second one; otherwise a slower parser, which tells, reads it again. Knows no file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

from tenfold.data.sources import encoding
from tenfold.data.sources.unpacking import Fault

_SPACED = re.compile(rb'"[ \t\r\n]+:')
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Parsed:
    value: Any
    repaired: tuple[str, ...] = ()
    """`number`: null stands for NaN or Infinity; `surrogate`: U+FFFD for half a pair; and `encoding`'s."""


def parse(raw: bytes) -> Parsed | Fault:
    """The value, or why there is none: `json`, `duplicate_key`, `nesting`, `encoding`, `binary`."""
    try:
        value = orjson.loads(raw)
        if _has_each_key_once(raw, value):
            return Parsed(value)
    except (orjson.JSONDecodeError, RecursionError):
        pass
    return _exact(raw)


def _has_each_key_once(raw: bytes, value: Any) -> bool:
    """As many keys in the bytes as in the value; false also where that cannot be told cheaply.

    A quote before a colon ends a key, or is one within a string, where a backslash stands before it.
    """
    if _SPACED.search(raw):
        return False
    ends, keys = raw.count(b'":'), _keys_of(value)
    return ends == keys or (
        b'\\\\":' not in raw and ends - raw.count(b'\\":') == keys  # no string ends in a backslash
    )


def _keys_of(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(
            _keys_of(item) for item in value.values() if type(item) in (dict, list)
        )
    if type(value) is list:
        return sum(_keys_of(item) for item in value if type(item) in (dict, list))
    return 0


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def _exact(line: bytes) -> Parsed | Fault:
    """Slowly, and saying exactly what is wrong."""
    decoded = encoding.decode(line)
    if isinstance(decoded, encoding.Undecodable):
        return Fault(decoded.cause, decoded.fact)
    repaired = decoded.repaired
    numbers: list[str] = []
    try:
        value = json.loads(
            decoded.text,
            object_pairs_hook=_unique,
            parse_constant=lambda name: numbers.append(name),
        )
        if b"\\u" in line and (mended := _whole(value)) != value:
            value, repaired = mended, (*repaired, "surrogate")
    except _Twice as error:
        name = str(error).encode("utf-8", "replace").decode()
        return Fault("duplicate_key", f"{name[:100]!r} stands twice in one object")
    except RecursionError:
        return Fault("nesting", "objects or lists too deep inside each other")
    except ValueError as error:
        return Fault("json", f"not JSON: {str(error)[:200]}")
    if numbers:
        repaired = (*repaired, "number")  # NaN and Infinity are no JSON: null
    return Parsed(value, repaired)


def _whole(value: Any) -> Any:
    """Half a surrogate pair is no character; U+FFFD stands in its place."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value
