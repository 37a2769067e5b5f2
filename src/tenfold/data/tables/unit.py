"""Units of measure: a number with a unit as the number in SI units, and its dimension.

A table of factors, exact where the unit is defined exactly (SI brochure, 9th ed., tables 2 to 8; NIST SP 811,
appendix B; IEC 80000-13 for bytes). Knows one text at a time; case counts where it must (`mW`, `MW`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenfold.data.tables import number
from tenfold.data.tables.number import Mark


@dataclass(frozen=True, slots=True)
class Unit:
    dimension: str
    si: str
    factor: float
    offset: float = 0.0
    """SI value = number * factor + offset"""


@dataclass(frozen=True, slots=True)
class Quantity:
    value: float
    """In the SI unit"""
    unit: Unit
    written: str
    """The unit as the text had it."""
    mark: Mark | None


_POUND, _INCH = 0.45359237, 0.0254
_KELVIN = 273.15
_TABLE: dict[str, tuple[str, dict[str, float]]] = {
    "mass": ("kg", {
        "kg kilogram kilograms kilo kilos": 1, "g gram grams": 1e-3, "mg": 1e-6, "µg mcg": 1e-9,
        "t tonne tonnes": 1e3, "lb lbs pound pounds": _POUND, "oz ounce ounces": _POUND / 16,
        "st stone": 14 * _POUND,
    }),
    "length": ("m", {
        "m metre metres meter meters": 1, "km kilometre kilometres kilometer kilometers": 1e3,
        "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "in inch inches \"": _INCH,
        "ft foot feet '": 12 * _INCH, "yd yard yards": 36 * _INCH, "mi mile miles": 63360 * _INCH,
        "nmi": 1852,
    }),
    "area": ("m²", {
        "m² m2 sqm qm": 1, "km² km2": 1e6, "cm² cm2": 1e-4, "ha hectare hectares": 1e4,
        "ft² ft2 sqft": (12 * _INCH) ** 2, "acre acres ac": 4046.8564224,
    }),
    "volume": ("m³", {
        "m³ m3": 1, "l L litre litres liter liters": 1e-3, "ml mL": 1e-6, "cl": 1e-5, "dl": 1e-4,
        "cm³ cm3 ccm": 1e-6, "gal gallon gallons": 231 * _INCH**3, "fl oz": 231 * _INCH**3 / 128,
    }),
    "time": ("s", {
        "s sec secs second seconds": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9,
        "min mins minute minutes": 60, "h hr hrs hour hours": 3600, "d day days": 86400,
        "week weeks": 604800,
    }),
    "speed": ("m/s", {
        "m/s": 1, "km/h kmh kph": 1 / 3.6, "mph": 63360 * _INCH / 3600, "kn kt knots": 1852 / 3600,
    }),
    "energy": ("J", {
        "J": 1, "kJ": 1e3, "MJ": 1e6, "Wh": 3600, "kWh": 3.6e6, "MWh": 3.6e9, "cal": 4.184,
        "kcal": 4184,
    }),
    "power": ("W", {"W watt watts": 1, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "GW": 1e9, "hp": 745.69987158227022}),
    "pressure": ("Pa", {
        "Pa": 1, "hPa mbar": 100, "kPa": 1e3, "MPa": 1e6, "bar": 1e5, "psi": 6894.757293168361,
        "atm": 101325, "mmHg": 133.322387415,
    }),
    "frequency": ("Hz", {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}),
    "information": ("B", {
        "B byte bytes": 1, "kB KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
        "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "bit bits": 0.125,
    }),
    "voltage": ("V", {"V volt volts": 1, "mV": 1e-3, "kV": 1e3}),
    "current": ("A", {"A": 1, "mA": 1e-3}),
}  # fmt: skip
UNITS: dict[str, Unit] = {
    "K": Unit("temperature", "K", 1.0),
    "°C": Unit("temperature", "K", 1.0, _KELVIN),
    "℃": Unit("temperature", "K", 1.0, _KELVIN),
    "°F": Unit("temperature", "K", 5 / 9, _KELVIN - 160 / 9),
    "℉": Unit("temperature", "K", 5 / 9, _KELVIN - 160 / 9),
}
for _dimension, (_si, _names) in _TABLE.items():
    for _words, _factor in _names.items():
        for _word in [_words] if _words == "fl oz" else _words.split():
            UNITS[_word] = Unit(_dimension, _si, float(_factor))
            UNITS[_word.replace("µ", "μ")] = UNITS[_word]  # micro sign and Greek letter
_FOLDED = {
    word.lower(): unit
    for word, unit in UNITS.items()
    if all(other == unit for name, other in UNITS.items() if name.lower() == word.lower())
}
"""Names that mean one unit whatever the case."""
_SPLIT = re.compile(r"(?P<number>.*[\d.)])\s*(?P<unit>[^\d\s.,()][^\d]{0,11}[²³23]?)")


def find(word: str) -> Unit | None:
    """The unit of that name; with another case only where no two units differ by it."""
    return UNITS.get(word) or _FOLDED.get(word.lower())


def parse(text: str, mark: Mark) -> Quantity | None:
    """`5 lb`, `1.234,5 km/h`, `20°C`; None without a known unit."""
    found = _SPLIT.fullmatch(text.strip())
    if found is None:
        return None
    word = found["unit"].strip()
    unit = find(word) or find(word.rstrip("."))
    read = number.parse(found["number"], mark)
    if unit is None or read is None or read.percent:
        return None
    return Quantity(read.value * unit.factor + unit.offset, unit, word, read.mark)
