"""Numbers as people read them: a few significant digits, the unit beside it, never more.

Pure text; knows nothing about pages. A value that is not there is an en dash.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

NONE = "–"
_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def digits(value: float, significant: int = 3, *, pad: bool = False) -> str:
    """`value` with so many significant digits, thousands grouped, no exponent between 1e-6 and 1e15.

    `pad` keeps zeros at the end, which say that a ratio is 1.00 and not just about 1.
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else NONE if math.isnan(value) else "−∞"
    if value == 0:
        return "0"
    places = significant - 1 - math.floor(math.log10(abs(value)))
    text = f"{abs(value):,.{max(0, min(places, 9))}f}"
    if "." in text and places > 0 and not pad:
        text = text.rstrip("0").rstrip(".")
    return ("−" if value < 0 else "") + text


def count(value: float | None) -> str:
    """Whole below 10,000, then with a prefix: 9,876, 12.3k, 1.72M."""
    if value is None:
        return NONE
    broken = abs(value) < 10_000 and value != int(value)
    return digits(value, pad=True) if broken else _whole(value)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < 10_000 else scaled(value, "", space="")


def scaled(value: float | None, unit: str, *, space: str = " ") -> str:
    """With an SI prefix: 538 J, 2.3 kJ, 4 mJ."""
    if value is None:
        return NONE
    if value == 0:
        return f"0{space}{unit}".rstrip()
    for factor, prefix in _DECIMAL:
        if abs(value) >= factor * 0.9995:
            return f"{digits(value / factor)}{space}{prefix}{unit}".rstrip()
    return f"{digits(value / 1e-6)}{space}µ{unit}".rstrip()


def size(value: float | None) -> str:
    """Bytes, in powers of 1000 as disks are sold: 6.9 MB."""
    if value is None:
        return NONE
    return f"{value:,.0f} B" if value < 1000 else scaled(value, "B")


def duration(seconds: float | None) -> str:
    """0.3 ms, 340 ms, 5.2 s, 1 min 17 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return NONE
    if seconds < 0.9995:
        return f"{digits(seconds * 1e3, 2 if seconds < 0.01 else 3)} ms" if seconds else "0 s"
    if seconds < 59.95:
        return f"{digits(seconds, 2 if seconds < 10 else 3)} s"
    whole = round(seconds)
    for length, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def latency(ms: float | None) -> str:
    return NONE if ms is None else duration(ms / 1e3)


def money(usd: float | None) -> str:
    """$12.30, $0.0003, 3.1 µ$ (a millionth of a dollar)."""
    if usd is None:
        return NONE
    if usd == 0:
        return "$0"
    if abs(usd) >= 1:
        return f"${usd:,.2f}"
    return f"${digits(usd, 2)}" if abs(usd) >= 1e-4 else f"{digits(usd * 1e6, 2)} µ$"


def energy(joules: float | None) -> str:
    return scaled(joules, "J")


def share(part: float | None) -> str:
    """A fraction as per cent: 74.8 %."""
    if part is None:
        return NONE
    return f"{digits(part * 100, 3)} %"


def figure(value: float, unit: str) -> str:
    """A recorded number in the words its unit asks for."""
    match unit.strip().lower():
        case "s" | "seconds":
            return duration(value)
        case "ms":
            return latency(value)
        case "b" | "bytes":
            return size(value)
        case "usd":
            return money(value)
        case "j" | "joules":
            return energy(value)
        case "share" | "ratio" if 0 <= value <= 1:
            return share(value)
        case "×" | "x" | "ratio":
            return f"{digits(value, pad=True)}×"
        case "":
            return count(value)
    return f"{count(value)} {unit}"


def clock(at_s: float | None) -> str:
    """14:02:11, in UTC; the page's script turns it into the reader's own time."""
    return NONE if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


def moment(at_s: float | None) -> str:
    """2026-11-21 14:02:11 UTC."""
    if at_s is None:
        return NONE
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at_s: float) -> str:
    """For the `datetime` attribute."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def ends(text: str, start: int = 9, end: int = 8) -> str:
    """Both ends of a long id: its kind is in front, what tells it apart is at the back."""
    return text if len(text) <= start + end + 1 else f"{text[:start]}…{text[-end:]}"


def short(digest: str | None, length: int = 12) -> str:
    return digest[:length] if digest else NONE
