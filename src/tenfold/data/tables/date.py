"""Dates and times as people write them, to one microsecond value in UTC or without a zone.

`03/04/2025` has two readings and only its column can decide; month names of six languages have one. Knows one
text at a time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Order = Literal["dmy", "mdy", "ymd"]

ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")
PIVOT = 69
"""Two-digit years: 00 to 68 are 2000 to 2068, 69 to 99 are 1969 to 1999 (POSIX strptime, %y)."""
EXCEL_EPOCH = datetime(1899, 12, 30)
"""Day 0 of spreadsheets that count the 29 February 1900, which never was; true from day 61 on."""

_MONTHS: dict[str, int] = {}
for _line in (
    "january february march april may june july august september october november december",
    "januar februar marz april mai juni juli august september oktober november dezember",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
):
    for _number, _name in enumerate(_line.split(), 1):
        _MONTHS[_name] = _number
        _MONTHS.setdefault(_name[:3], _number)
        _MONTHS.setdefault(_name[:4], _number)
# Three letters that mean two months: French juin and juillet have four, Portuguese and Dutch none.
_MONTHS.update(jui=0, maer=3, mrz=3, sept=9)
_TIME = (
    r"(?:[T\s,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_ISO = re.compile(r"(?P<year>\d{4})(?P<sep>[-/.]?)(?P<month>\d{2})(?P=sep)(?P<day>\d{2})" + _TIME)
_PARTS = re.compile(
    r"(?P<a>\d{1,2})(?P<sep>[-/.]|\.\s)(?P<b>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})" + _TIME
)
_LOOSE = re.compile(
    r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})" + _TIME
)
_WORD = r"(?P<name>[^\W\d_]{3,10})\.?"
_DAY_FIRST = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º)?[\s-]*(?:de\s+)?" + _WORD
    + r"[\s,-]*(?:de\s+)?'?(?P<year>\d{4}|\d{2})" + _TIME
)  # fmt: skip
_MONTH_FIRST = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)??" + _WORD + r"[\s-]*(?P<day>\d{1,2})(?:st|nd|rd|th)?,?[\s-]+(?P<year>\d{4})" + _TIME
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    value: datetime
    """With a zone it is in UTC; without one it has none."""
    order: Order | None
    """The order that the text proves; None: it reads the same under all, or has no order."""
    has_time: bool


def parse(text: str, order: Order) -> Moment | None:
    """The moment that `text` is when numbers stand in `order`; None when it is none."""
    text = text.strip()
    for pattern in (_ISO, _LOOSE):
        if found := pattern.fullmatch(text):
            year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
            return _moment(found, year, month, day, None)
    if found := _PARTS.fullmatch(text):
        return _numeric(found, order)
    for pattern in (_DAY_FIRST, _MONTH_FIRST):
        found = pattern.fullmatch(text)
        month = month_number(found["name"]) if found else 0
        if found and month:
            return _moment(found, _year(found["year"]), month, int(found["day"]), None)
    return None


def month_number(name: str) -> int:
    """1 to 12 for a month's name or its first letters, in six languages; 0 for anything else."""
    plain = unicodedata.normalize("NFKD", name.lower())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _MONTHS.get(plain, 0)


def ambiguous(text: str) -> bool:
    """Readings on more than one day: `03/04/2025`."""
    found = [parse(text, order) for order in ORDERS]
    return len({moment.value for moment in found if moment is not None}) > 1


def excel(serial: float) -> datetime | None:
    """The moment of a spreadsheet's serial number from 61 (1 March 1900) to the year 9999."""
    if not 61 <= serial < 2958466:
        return None
    return EXCEL_EPOCH + timedelta(microseconds=round(serial * 86_400_000_000))


def unix(seconds: float) -> datetime:
    """The moment, in UTC, of a count of seconds since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _numeric(found: re.Match[str], order: Order) -> Moment | None:
    a, b, year, mark = int(found["a"]), int(found["b"]), found["year"], found["sep"]
    readings: dict[Order, Moment | None] = {"dmy": _moment(found, _year(year), b, a, "dmy")}
    if mark[0] != ".":  # no locale of CLDR writes the month first with points
        readings["mdy"] = _moment(found, _year(year), a, b, "mdy")
    if len(year) == 2 and mark == "-":
        readings["ymd"] = _moment(found, _year(found["a"]), b, int(year), "ymd")
    moment = readings.get(order)
    others = [each for each in readings.values() if each is not None]
    if moment is None or len(others) == 1:
        return moment
    return Moment(moment.value, None, moment.has_time)


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= PIVOT else 2000)


def _moment(
    found: re.Match[str], year: int, month: int, day: int, order: Order | None
) -> Moment | None:
    hour, has_time = int(found["hour"] or 0), found["hour"] is not None
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"][0] in "pP" else 0)
    part = (found["part"] or "").ljust(6, "0")[:6]
    try:
        value = datetime(
            year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), int(part)
        )
    except ValueError:
        return None
    if zone := found["zone"]:
        value = value.replace(tzinfo=_zone(zone)).astimezone(UTC)
    return Moment(value, order, has_time)


def _zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
