"""Amounts of money: the currency beside the number, by symbol or ISO 4217 code, never converted.

`$` and `kr` name several currencies: they are kept as written, since only people know which is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenfold.data.tables import number
from tenfold.data.tables.number import Mark

SYMBOLS = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₪": "ILS", "₫": "VND",
    "₴": "UAH", "₦": "NGN", "₱": "PHP", "฿": "THB", "₡": "CRC", "₲": "PYG", "₸": "KZT", "zł": "PLN",
    "Kč": "CZK", "Ft": "HUF", "R$": "BRL", "US$": "USD", "A$": "AUD", "C$": "CAD", "HK$": "HKD",
    "NZ$": "NZD", "S$": "SGD", "NT$": "TWD", "CHF": "CHF", "Fr.": "CHF", "лв": "BGN",
    # These mean several currencies and stay what they are.
    "$": "$", "¥": "¥", "kr": "kr",
}  # fmt: skip
CODES = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "ARS",
        "AUD",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BHD",
        "BND",
        "BOB",
        "BRL",
        "BWP",
        "BYN",
        "CAD",
        "CDF",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CZK",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ETB",
        "EUR",
        "FJD",
        "GBP",
        "GEL",
        "GHS",
        "GTQ",
        "HKD",
        "HNL",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "IRR",
        "ISK",
        "JMD",
        "JOD",
        "JPY",
        "KES",
        "KGS",
        "KHR",
        "KRW",
        "KWD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MUR",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "OMR",
        "PAB",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
        "PYG",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "RWF",
        "SAR",
        "SDG",
        "SEK",
        "SGD",
        "SYP",
        "THB",
        "TND",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "UGX",
        "USD",
        "UYU",
        "UZS",
        "VES",
        "VND",
        "XAF",
        "XOF",
        "YER",
        "ZAR",
        "ZMW",
    ]
)
_WORD = "|".join(sorted((re.escape(each) for each in {*SYMBOLS, *CODES}), key=len, reverse=True))
_BEFORE = re.compile(rf"(?P<open>\()?(?P<sign>[-−+])?\s*(?P<word>{_WORD})\s*(?P<rest>.+)")
_AFTER = re.compile(rf"(?P<rest>.+?)\s*(?P<word>{_WORD})(?P<close>\))?")


@dataclass(frozen=True, slots=True)
class Money:
    amount: float
    currency: str
    """ISO 4217, or the symbol where it names several."""
    mark: Mark | None


def parse(text: str, mark: Mark) -> Money | None:
    """`€ 1.234,56`, `1,234.56 USD`, `-$5`, `(12 EUR)`; None without a currency."""
    text = text.strip()
    found = _BEFORE.fullmatch(text)
    if found is not None:
        rest = f"{found['open'] or ''}{found['sign'] or ''}{found['rest']}"
    else:
        found = _AFTER.fullmatch(text)
        if found is None:
            return None
        rest = f"{found['rest']}{found['close'] or ''}"
    read = number.parse(rest, mark)
    if read is None or read.percent:
        return None
    return Money(read.value, SYMBOLS.get(found["word"], found["word"]), read.mark)
