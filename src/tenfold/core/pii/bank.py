"""Bank accounts (IBAN) and payment cards: patterns, then check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.checksums import IBAN_LENGTHS, iban_valid, luhn
from tenfold.core.pii.numbers import Run, before, digits_of, within

_IBAN = re.compile(r"[0-9]{2}[ \u00a0-]?[A-Za-z0-9]{2}[A-Za-z0-9 \u00a0-]{7}")
"""The check digits and what follows: beginning with digits makes it quick to search. Country before it."""
_GAPS = re.compile(r"[ \u00a0-]")


def ibans(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        length = IBAN_LENGTHS.get(text[max(0, start) : start + 2].upper())
        if start < 0 or length is None or (start and text[start - 1].isalnum()):
            continue
        # Groups are of any size: go on until the country's number of characters is there.
        end, seen = start, 0
        while end < len(text) and seen < length:
            seen += not _GAPS.match(text[end])
            end += 1
        behind = text[end : end + 1]
        whole = _GAPS.sub("", text[start:end]).upper()
        if (behind.isalnum() and behind.isascii()) or not (whole.isalnum() and whole.isascii()):
            continue
        if iban_valid(whole):
            yield start, end


_CARD = re.compile(r"(?<![\w.+-])(?:\d[ \u00a0-]?){11,18}\d(?![\w-])(?!\.\d)", re.ASCII)
_CARD_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$"  # Visa
    r"|(?:5[1-5]|2[2-7])\d{14}$"  # Mastercard
    r"|3[47]\d{13}$"  # American Express
    r"|3(?:0|6|8|9)\d{12,17}$"  # Diners Club
    r"|(?:2131|1800)\d{11}$|35\d{14,17}$"  # JCB
    r"|6(?:011\d{12}|[45]\d{14})$|62(?:\d{14}|\d{17})$"  # Discover, UnionPay
    r"|(?:5[06-9]|6\d)\d{10,14}$"  # Maestro, whose longest look like counters
)
"""Issuer ranges and lengths of ISO/IEC 7812 numbers in use."""
_CARD_BEFORE = re.compile(r"(?i)\b(?:card|cc|visa|mastercard|amex)\b")
"""After such a word any issuer will do."""
_GOODS_BEFORE = re.compile(
    r"(?i)\b(?:ean|gtin|upc|isbn|imei|barcode|vin|sku)(?:[ :#-]|no\.?|1[34]|code){0,4}$"
)
"""Numbers of goods and devices end in the same check digit, or look as if."""
_GROUPS = re.compile(r"[ \u00a0-]")


def cards(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for match in within(_CARD, text, found):
        number = match[0]
        digits = digits_of(number)
        groups = _GROUPS.split(number)
        if len(groups) > 1 and min(len(group) for group in groups[:-1]) < 4:
            continue  # cards are written in groups of four or more; dates and phone numbers are not
        if len(set(digits)) == 1 or not luhn(digits):
            continue
        ahead = before(text, match.start(), 40)
        if _CARD_BEFORE.search(ahead) or (
            _CARD_ISSUER.match(digits) and not _GOODS_BEFORE.search(ahead)
        ):
            yield match.span()
