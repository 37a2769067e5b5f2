"""A value made safe for the place it stands in. Pure; the edges' own languages do the same.

| context | place | what is escaped |
|---|---|---|
| json | inside the quotes of a JSON string | quotes, backslash, control characters |
| html | text between tags | & < > |
| attr | a quoted attribute value | & < > and both quotes |
| url | one component of a URL | everything but unreserved characters |
| js | inside the quotes of a string in a script | as json, and & ' ` $ < > U+2028 U+2029 as \\uXXXX |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

CONTEXTS = ("json", "html", "attr", "url", "js")

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ATTR = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_JS = str.maketrans({c: f"\\u{ord(c):04x}" for c in "&'`$<>\u2028\u2029"})


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


_ESCAPES: dict[str, Callable[[str], str]] = {
    "json": _json,
    "html": lambda value: value.translate(_HTML),
    "attr": lambda value: value.translate(_ATTR),
    "url": lambda value: quote(value, safe=""),
    "js": lambda value: _json(value).translate(_JS),
}


def escape(value: str, context: str) -> str:
    """`value`, a text without surrogates, for one of CONTEXTS."""
    return _ESCAPES[context](value)
