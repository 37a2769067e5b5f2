"""The forms of an identifier: the same person's address in one spelling, so that hashes of it agree.

A phone number has two, with and without its country; the second finds it where the first was left out.
Knows no key and no file.
"""

from __future__ import annotations

import re
import unicodedata

from tenfold.core.pii.phone import COUNTRY

_COUNTRY_CODE = re.compile(COUNTRY)
_EXTENSION = re.compile(r"[ ,]*(?:x|ext)", re.IGNORECASE)


def forms(kind: str, text: str) -> tuple[str, ...]:
    """`kind:value` for every form under which it may be looked up; the first is the fullest."""
    if kind == "phone":
        return tuple(f"phone:{digits}" for digits in _phone_forms(text))
    if kind in ("iban", "card", "ssn", "mac", "passport"):
        return (f"{kind}:{re.sub(r'[^0-9A-Za-z]', '', text).lower()}",)
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return (f"{kind}:{plain}",)


def main_form(kind: str, text: str) -> str:
    return forms(kind, text)[0]


def country_digits(number: str) -> int:
    """How many of the first digits say the country, the way there (00) included; 0 for a national number."""
    digits = re.sub(r"\D", "", number)
    skipped = 0 if number.lstrip(" (").startswith("+") else 2 if digits.startswith("00") else None
    if skipped is None:
        return 0
    code = _COUNTRY_CODE.match(digits, skipped)
    return code.end() if code else skipped


def _phone_forms(text: str) -> list[str]:
    number = _EXTENSION.split(text, maxsplit=1)[0]
    country = country_digits(number)
    digits = re.sub(r"\D", "", number.replace("(0)", "") if country else number)
    if not country:
        return [digits.lstrip("0") or digits]
    national = digits[country:].lstrip("0")
    full = digits.removeprefix("00")
    return [full, national] if len(national) >= 6 else [full]
