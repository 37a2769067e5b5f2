from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from tenfold.data.tables import date as dates

DAYS = st.dates(date(1970, 1, 1), date(2068, 12, 31))
FORMS = {
    "%Y-%m-%d": "dmy", "%Y/%m/%d": "dmy", "%Y%m%d": "dmy", "%d/%m/%Y": "dmy", "%m/%d/%Y": "mdy",
    "%d.%m.%Y": "dmy", "%d-%m-%Y": "dmy", "%d %B %Y": "dmy", "%B %d, %Y": "dmy",
    "%d-%b-%y": "dmy", "%a, %d %b %Y": "dmy", "%d.%m.%y": "dmy", "%m/%d/%y": "mdy",
}  # fmt: skip


@given(DAYS, st.sampled_from(sorted(FORMS)))
def test_what_is_written_is_read(day, form):
    found = dates.parse(day.strftime(form), FORMS[form])
    assert found is not None
    assert found.value == datetime(day.year, day.month, day.day)
    assert not found.has_time


@given(st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)), st.integers(-14, 14))
def test_moments_with_a_zone_are_those_of_python(moment, hours):
    text = moment.isoformat() + f"{'-' if hours < 0 else '+'}{abs(hours):02}:00"
    found = dates.parse(text, "dmy")
    assert found is not None
    assert found.value == datetime.fromisoformat(text).astimezone(UTC)


@given(DAYS)
def test_a_day_has_two_readings_where_both_numbers_may_be_months(day):
    text = day.strftime("%d/%m/%Y")
    assert dates.ambiguous(text) == (day.day <= 12 and day.day != day.month)


@pytest.mark.parametrize(
    "text",
    ["4 März 2025", "4. März 2025", "4 mars 2025", "4 de marzo de 2025", "4 marzo 2025",
     "4 março 2025", "4 maart 2025", "March 4th, 2025", "Mar 4, 2025"],
)  # fmt: skip
def test_month_names_of_several_languages(text):
    assert dates.parse(text, "mdy").value == datetime(2025, 3, 4)


def test_two_digit_years_turn_as_posix_does():
    for year in range(100):
        theirs = datetime.strptime(f"{year:02}", "%y").year
        assert dates.parse(f"31.12.{year:02}", "dmy").value.year == theirs


@pytest.mark.parametrize(
    "text", ["2025-13-01", "31/02/2025", "hello", "12", "2025-02-30", "99/99/99"]
)
def test_what_is_no_date_is_none(text):
    assert all(dates.parse(text, order) is None for order in dates.ORDERS)


def test_spreadsheet_serials():
    # Microsoft's documentation: 1 January 2008 is serial number 39448.
    assert dates.excel(39448) == datetime(2008, 1, 1)
    assert dates.excel(39448.75) == datetime(2008, 1, 1, 18)
    assert dates.excel(60) is None  # 29 February 1900, which never was
    assert dates.unix(86400) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=1)
