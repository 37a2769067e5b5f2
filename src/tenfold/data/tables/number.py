"""Numbers as people write them: 1.234,56 and 1,234.56 and 1 234,56, 1.2e3, (12), 12 %, 5-.

A text has a reading under each decimal mark, or none; `1,234` has two and only its column can decide. Knows
one text at a time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal[".", ","]

SPACES = "    "
"""Plain, no-break, narrow no-break and thin space (SI brochure, 9th ed., 5.4.4: groups of three)."""
MINUS = "-−‐‑–"
"""Hyphen-minus and what word processors make of it."""
APOSTROPHES = "'’"
_SIGN = re.escape(MINUS)
_BODY = {
    # Groups of three, or Indian groups (3, then 2); one kind of separator throughout.
    mark: re.compile(
        rf"(?:\d+|[1-9]\d{{0,2}}(?:(?P<group>[{group}{SPACES}{APOSTROPHES}_])\d{{3}}"
        rf"(?:(?P=group)\d{{3}})*)|[1-9]\d?(?:{group}\d{{2}})+{group}\d{{3}})"
        rf"(?:{re.escape(mark)}(?P<fraction>\d*))?(?P<power>[eE][+{_SIGN}]?\d{{1,3}})?"
        rf"|{re.escape(mark)}(?P<only>\d+)(?P<tail>[eE][+{_SIGN}]?\d{{1,3}})?"
    )
    for mark, group in ((".", ","), (",", r"\."))
}
_SIGNED = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+{_SIGN}])?\s*(?P<body>[\d.,].*?)\s*(?P<after>[{_SIGN}])?"
    rf"\s*(?P<close>\))?\s*(?P<percent>%|‰)?"
)
_TRANSLATED = str.maketrans({**dict.fromkeys(MINUS, "-")})


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    mark: Mark | None
    """The decimal mark that the text proves; None: it reads the same under both."""
    percent: bool = False
    """`12 %` has the value 0.12."""


def parse(text: str, mark: Mark) -> Number | None:
    """The number that `text` is when `mark` separates decimals; None when it is none, or too large."""
    whole = _SIGNED.fullmatch(text.strip())
    if whole is None or bool(whole["open"]) != bool(whole["close"]):
        return None
    signs = bool(whole["open"]) + bool(whole["sign"]) + bool(whole["after"])
    if signs > 1:
        return None
    body = _BODY[mark].fullmatch(whole["body"])
    if body is None:
        return None
    value = _value(whole["body"], mark)
    if not math.isfinite(value):
        return None
    negative = bool(whole["open"] or whole["after"] or (whole["sign"] or "+") != "+")
    scale = {"%": 100.0, "‰": 1000.0, None: 1.0}[whole["percent"]]
    other = _BODY["," if mark == "." else "."].fullmatch(whole["body"])
    return Number(
        (-value if negative else value) / scale,
        mark if other is None else None,
        whole["percent"] is not None,
    )


def ambiguous(text: str) -> bool:
    """Two readings with two values: `1,234` is 1234 or 1.234."""
    point, comma = parse(text, "."), parse(text, ",")
    return point is not None and comma is not None and point.value != comma.value


def _value(body: str, mark: Mark) -> float:
    kept = [each for each in body.translate(_TRANSLATED) if each.isdigit() or each in f"{mark}eE+-"]
    return float("".join(kept).replace(mark, "."))
