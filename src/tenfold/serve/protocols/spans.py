"""Where a member of a JSON object stands in its bytes.

For changing one member and leaving every other byte as a client sent it: decoding and encoding again would
round its large numbers, respell its text and drop what it wrote twice. It reads only valid JSON.
"""

from __future__ import annotations

import re

import orjson

_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL).finditer


def span_of(body: bytes, name: str) -> tuple[int, int] | None:
    """Start and end of the value of the member `name` of the outermost object, white space around it
    included; the first, where there are several. None when there is no such member.

    Takes time for every token before the end of the member.
    """
    depth = 0
    key = b""
    start = -1
    for token in _TOKENS(body):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0 and start >= 0:
                return start, token.start()
        elif depth == 1:
            if mark == b",":
                if start >= 0:
                    return start, token.start()
            elif mark == b":":
                if orjson.loads(key) == name:
                    start = token.end()
            elif start < 0:
                key = mark
    return None
