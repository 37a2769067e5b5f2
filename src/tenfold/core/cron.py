"""Cron expressions: five fields, in UTC. Pure: the time comes in, an answer goes out.

Supports `*`, lists, ranges, steps, month and day names; day-of-month and day-of-week combine as POSIX
crontab(5) says: when both are restricted, either may match.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tenfold.errors import ConfigError

_MONTHS = {
    name: i
    for i, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: i for i, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_HORIZON_DAYS = 366 * 8
"""29 February comes round at most eight years apart."""


@dataclass(frozen=True, slots=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both day fields are restricted, so either one may match."""

    def matches_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_month_day = day.day in self.days
        by_weekday = (day.weekday() + 1) % 7 in self.weekdays
        return (by_month_day or by_weekday) if self.either_day else (by_month_day and by_weekday)

    def latest(self, now_s: float) -> float | None:
        """The newest time at or before `now_s` at which it fires; None if it never does."""
        now = datetime.fromtimestamp(now_s, UTC)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_HORIZON_DAYS):
            if self.matches_day(day):
                for hour in sorted(self.hours, reverse=True):
                    for minute in sorted(self.minutes, reverse=True):
                        moment = day.replace(hour=hour, minute=minute)
                        if moment <= now:
                            return moment.timestamp()
            day -= timedelta(days=1)
        return None


def parse_cron(text: str) -> Cron:
    """Raises ConfigError naming the field that is wrong."""
    parts = text.split()
    if len(parts) != 5:
        raise ConfigError(
            "a cron expression has five fields: minute hour day-of-month month day-of-week",
            seen=text,
        )
    sets = [_parse_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    return Cron(
        minutes=sets[0],
        hours=sets[1],
        days=sets[2],
        months=sets[3],
        weekdays=weekdays,
        either_day=not parts[2].startswith("*") and not parts[4].startswith("*"),
    )


def _parse_field(
    text: str, name: str, low: int, high: int, words: dict[str, int]
) -> frozenset[int]:
    def number(token: str) -> int:
        value = words.get(token.lower())
        if value is None:
            if not _is_number(token):
                raise ConfigError(f"not a {name} in a cron expression", seen=token)
            value = int(token)
        if not low <= value <= high:
            raise ConfigError(f"a {name} lies between {low} and {high}", seen=token)
        return value

    found: set[int] = set()
    for item in text.split(","):
        span, _, stride_text = item.partition("/")
        if "/" in item and not _is_number(stride_text):
            raise ConfigError(f"not a step in the {name} of a cron expression", seen=item)
        stride = int(stride_text) if stride_text else 1
        if stride == 0:
            raise ConfigError(f"the step in the {name} must be 1 or more", seen=item)
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        else:
            first = number(first_text)
            last = number(last_text) if dash else (high if stride_text else first)
        if last < first:
            raise ConfigError(f"the range in the {name} runs backwards", seen=item)
        found.update(range(first, last + 1, stride))
    return frozenset(found)


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit()  # "²" is a digit to Python, but not a number
