from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from tenfold.data.tables import money, number, unit

CENTS = st.integers(-(10**11), 10**11)
GROUPS = {".": [",", " ", " ", "'", ""], ",": [".", " ", " ", "'", ""]}


def written(cents: int, mark: str, group: str) -> str:
    whole, rest = divmod(abs(cents), 100)
    return ("-" if cents < 0 else "") + f"{whole:,}".replace(",", group) + mark + f"{rest:02}"


@given(CENTS, st.sampled_from(".,"), st.integers(0, 4))
def test_what_is_written_is_read(cents, mark, which):
    text = written(cents, mark, GROUPS[mark][which])
    found = number.parse(text, mark)
    assert found is not None
    assert found.value == pytest.approx(cents / 100, abs=1e-9)
    assert found.mark == mark  # two decimals prove the mark
    assert number.parse(text, "," if mark == "." else ".") is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_pythons_own_numbers_are_read_to_the_bit(value):
    assert number.parse(repr(value), ".").value == value


@given(CENTS, st.sampled_from(["EUR", "US$", "£", "kr", "CHF"]), st.booleans())
def test_money_keeps_amount_and_currency(cents, currency, before):
    text = written(cents, ".", ",")
    text = f"{currency} {text}" if before else f"{text} {currency}"
    found = money.parse(text, ".")
    assert found is not None
    assert found.amount == pytest.approx(cents / 100, abs=1e-9)
    assert found.currency == money.SYMBOLS.get(currency, currency)


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1.234,56", ",", 1234.56), ("1,234.56", ".", 1234.56), ("1 234,56", ",", 1234.56),
        ("1.2e3", ".", 1200), ("(12)", ".", -12), ("12 %", ".", 0.12), ("5-", ".", -5),
        ("12,34,567.8", ".", 1234567.8), ("0,123", ",", 0.123),
    ],
)  # fmt: skip
def test_forms_that_people_use(text, mark, value):
    assert number.parse(text, mark).value == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "abc", "1,2,3", "1.2.3", "--5", "(5", "-(5)", "1e999", "1 2"])
def test_what_is_no_number_is_none(text):
    assert number.parse(text, ".") is None
    assert number.parse(text, ",") is None


def test_two_readings_are_known_as_two():
    assert number.ambiguous("1,234")
    assert number.ambiguous("1.234")
    assert not number.ambiguous("1,23")
    assert not number.ambiguous("0.123")


def test_units_agree_with_pint():
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    names = {
        "kg": "kg", "lb": "lb", "oz": "oz", "st": "stone", "mi": "mile", "ft": "ft", "in": "inch",
        "yd": "yard", "nmi": "nautical_mile", "L": "liter",
        "gal": "gallon", "fl oz": "fluid_ounce", "h": "hour", "km/h": "km/h", "mph": "mph",
        "kn": "knot", "kWh": "kWh", "cal": "cal", "hp": "hp", "psi": "psi", "bar": "bar",
        "atm": "atm", "mmHg": "mmHg", "mW": "mW", "MW": "MW", "°C": "degC", "°F": "degF",
        "KiB": "KiB", "GB": "GB", "bit": "bit",
    }  # fmt: skip
    for ours, theirs in names.items():
        found = unit.parse(f"3.5 {ours}", ".")
        assert found is not None, ours
        si = {"B": "byte", "m²": "m**2", "m³": "m**3"}.get(found.unit.si, found.unit.si)
        expected = registry.Quantity(3.5, theirs).to(si).magnitude
        assert found.value == pytest.approx(expected, rel=1e-6), ours
