"""Cron against a brute-force scan over minutes that shares no code with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.cron import parse_cron
from tenfold.errors import ConfigError

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    """One field as text, and the numbers it stands for, worked out beside the parser."""
    items, numbers = [], set()
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.sampled_from(["*", "*/n", "a", "a-b", "a-b/n", "a/n"]))
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        stride = draw(st.integers(1, 20))
        items.append(
            {
                "*": "*",
                "*/n": f"*/{stride}",
                "a": f"{first}",
                "a-b": f"{first}-{last}",
                "a-b/n": f"{first}-{last}/{stride}",
                "a/n": f"{first}/{stride}",
            }[shape]
        )
        start = low if shape[0] == "*" else first
        stop = {"a": first, "a-b": last, "a-b/n": last}.get(shape, high)
        step = stride if "n" in shape else 1
        numbers |= {n for n in range(start, stop + 1) if (n - start) % step == 0}
    return ",".join(items), frozenset(numbers)


crons = st.tuples(*(fields(low, high) for low, high in _RANGES))


def scan(
    parts: tuple[tuple[str, frozenset[int]], ...], now: datetime, minutes: int
) -> float | None:
    """The newest matching minute among the last `minutes`, by asking each of them."""
    (_, minute), (_, hour), (day_text, day), (_, month), (weekday_text, weekday) = parts
    moment = now.replace(second=0, microsecond=0)
    for _ in range(minutes):
        by_day = moment.day in day
        by_weekday = moment.isoweekday() in weekday or (moment.isoweekday() == 7 and 0 in weekday)
        either = not day_text.startswith("*") and not weekday_text.startswith("*")
        if (
            moment.minute in minute
            and moment.hour in hour
            and moment.month in month
            and ((by_day or by_weekday) if either else (by_day and by_weekday))
        ):
            return moment.timestamp()
        moment -= timedelta(minutes=1)
    return None


@settings(max_examples=150, deadline=None)
@given(crons, st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_latest_is_what_a_scan_finds(parts: tuple, now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    minutes = 3 * 24 * 60
    found = parse_cron(" ".join(text for text, _ in parts)).latest(now.timestamp())
    expected = scan(parts, now, minutes)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found <= (now - timedelta(minutes=minutes - 1)).timestamp()


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("cron", "now", "expected"),
    [
        ("0 3 * * *", "2026-11-21T02:59:59", "2026-11-20T03:00"),
        ("0 3 * * *", "2026-11-21T03:00:00", "2026-11-21T03:00"),
        ("0 0 29 2 *", "2104-02-28T00:00", "2096-02-29T00:00"),  # 2100 is no leap year
        ("*/15 9-17 * * mon-fri", "2026-11-22T12:00", "2026-11-20T17:45"),
        ("0 0 * * 7", "2026-11-24T00:00", "2026-11-22T00:00"),
        ("0 0 1 JAN *", "2026-11-24T00:00", "2026-01-01T00:00"),
        ("0 0 13 * fri", "2026-11-14T00:00", "2026-11-13T00:00"),
        ("0 0 13 * fri", "2026-11-22T00:00", "2026-11-20T00:00"),  # either day
    ],
)
def test_known_times(cron: str, now: str, expected: str) -> None:
    assert parse_cron(cron).latest(at(now)) == at(expected)


def test_a_day_that_never_comes() -> None:
    assert parse_cron("0 0 31 2 *").latest(at("2026-11-21T00:00")) is None


@pytest.mark.parametrize(
    "cron",
    [
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "*/x * * * *",
        "a * * * *",
        "² * * * *",
        "*/² * * * *",
        "1- * * * *",
        "-1 * * * *",
        ", * * * *",
        "* * * foo *",
        "",
    ],
)
def test_what_is_no_cron_is_refused(cron: str) -> None:
    with pytest.raises(ConfigError):
        parse_cron(cron)
