"""Mail addresses, also written `name [at] host.org`. Names that belong to nobody are left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.numbers import Run

_SIGN = re.compile(r"@|[\[(<{](?:at|AT)[\])>}]\ ?")
_LOCAL = re.compile(r"(?<![\w.+-])[\w+-][\w.+%'-]{0,63}(?P<gap>\ ?)$")
_HOST = re.compile(
    r"(?:\w(?:[\w-]{0,61}\w)?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
)
_RESERVED = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)$", re.IGNORECASE
)
"""Names that belong to nobody (RFC 2606, RFC 6761, RFC 6762)."""
_PLACEHOLDER = re.compile(
    r"(?i)(?:user|users?name|name|you|your[._-]?\w+|me|someone|somebody|foo|bar|baz|test|root|admin|info|mail|email"
    r"|postmaster|webmaster|nobody|sender|recipient|from|to|a|b|x|john\.?doe|jane\.?doe)\d{0,3}(?:\+\w+)?\ ?$"
)
"""At such a host it is nobody's address; `brett.cannon@example.org` still names a person."""
_LONGEST_LOCAL = 66
"""Characters: the local part, a gap, and one before it."""


def emails(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Looks only around signs: a text without one costs one search."""
    taken = 0
    for sign in _SIGN.finditer(text):
        host = _HOST.match(text, sign.end())
        local = _LOCAL.search(text[max(0, sign.start() - _LONGEST_LOCAL) : sign.start()])
        if host is None or local is None or (local["gap"] and sign[0] == "@"):
            continue
        start = sign.start() - len(local[0])
        if start >= taken and not (_RESERVED.search(host[0]) and _PLACEHOLDER.match(local[0])):
            taken = host.end()
            yield start, taken
