"""Amounts as people type them: `5usd`, `30d`. Raises UsageError for what cannot be one. Knows no command."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tenfold.errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_NUMBER = r"(\d{1,12}(?:\.\d{1,12})?)"


def usd(text: str) -> float:
    """`5usd`, `0.25 usd`, `$5` or `5`."""
    found = re.fullmatch(rf"\$?{_NUMBER}\s*(?:usd)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError("not an amount of money", seen=text, hint="5usd, say")
    return float(found[1])


def seconds(text: str) -> float:
    """`90s`, `15m`, `12h`, `30d`, `2w`, or 0."""
    found = re.fullmatch(rf"{_NUMBER}\s*([smhdw])", text.strip().lower())
    if found is not None:
        return float(found[1]) * _SECONDS[found[2]]
    if text.strip() == "0":
        return 0.0
    raise UsageError("not a length of time", seen=text, hint="90s, 15m, 12h, 30d or 2w")


def moment(text: str, now_s: float) -> float:
    """A length of time from now, or a date (`2027-01-31`, its beginning in UTC), since the epoch."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return now_s + seconds(text)
