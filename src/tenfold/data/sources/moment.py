"""A point in time as sources write it. Knows no source."""

from __future__ import annotations

import datetime
import email.utils
from typing import Any

_LAST_SECOND = 253_402_300_799  # the end of year 9999


def moment(value: Any) -> datetime.datetime | None:
    """ISO 8601, an HTTP date, seconds or milliseconds since 1970, a date or a time; null: none of them.

    Without a zone it is UTC.
    """
    try:
        if isinstance(value, datetime.datetime):
            found = value
        elif isinstance(value, datetime.date):
            found = datetime.datetime(value.year, value.month, value.day)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if value > _LAST_SECOND else value
            found = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
        elif isinstance(value, str):
            found = _written(value.strip())
        else:
            return None
        if found.tzinfo is None:
            found = found.replace(tzinfo=datetime.UTC)
        return found.astimezone(datetime.UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _written(value: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(value)
    except ValueError:
        return email.utils.parsedate_to_datetime(value)
