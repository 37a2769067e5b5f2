"""Stand-ins: the same find gives the same stand-in of the same format, and only the key's owner could tell why.

Where a range is nobody's (RFC 2606, RFC 1918, RFC 3849, numbers of the tests of payment networks, social
security areas that are never issued) the stand-in comes from there; a phone number keeps its country, area
and spelling and may by chance be somebody's. It is pseudonymisation, not anonymisation (GDPR, article 4 (5)).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from tenfold.core.pii import Span, luhn
from tenfold.core.pii.checksums import mod97
from tenfold.data.privacy.forms import country_digits, main_form
from tenfold.data.privacy.subject_key import SubjectKey

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def stand_in(key: SubjectKey, span: Span) -> str:
    """For one find. Two spellings of the same thing have the same stand-in in their own spellings."""
    draw = int.from_bytes(
        key.digest("stand-in." + span.kind, main_form(span.kind, span.text)), "big"
    )
    return _MAKERS[span.kind](span.text, draw)


def _email(text: str, draw: int) -> str:
    return f"u{draw % 16**14:014x}@example.org"


def _url(text: str, draw: int) -> str:
    return f"https://u{draw % 16**14:014x}.example.org/"


def _wallet(text: str, draw: int) -> str:
    return f"wallet-{draw % 16**16:016x}"  # a well-formed one would swallow money


def _phone(text: str, draw: int) -> str:
    """The last digits are new: all but country code and area, seven at most."""
    number = re.split(r"[ ,]*(?:x|ext)", text, maxsplit=1)[0]
    kept = country_digits(number)
    digits = sum(character.isdigit() for character in number)
    keep = max(min(kept + 2, digits - 4), digits - 7)
    return _respelled(text[: len(number)], draw, keep) + _respelled(
        text[len(number) :], draw >> 64, 0
    )


def _iban(text: str, draw: int) -> str:
    account = re.sub(r"[^A-Za-z0-9]", "", text).upper()
    body = _respelled(account[4:], draw, 0)
    fresh = f"{account[:2]}{98 - mod97(account[:2] + '00' + body):02}{body}"
    return _spelled_like(text, fresh)


_TEST_RANGES = {13: "400000", 14: "305693", 15: "378282", 16: "400000", 19: "400000"}
"""Length -> the first six digits of the numbers that payment networks and gateways publish for tests."""


def _card(text: str, draw: int) -> str:
    length = sum(character.isdigit() for character in text)
    prefix = _TEST_RANGES.get(length, "675964")
    body = prefix + f"{draw % 10 ** (length - 7):0{length - 7}}"
    check = next(digit for digit in "0123456789" if luhn(body + digit))
    return _spelled_like(text, body + check)


def _ssn(text: str, draw: int) -> str:
    return _spelled_like(text, f"9{draw % 10**8:08}")


def _ip(text: str, draw: int) -> str:
    if ":" not in text:
        return f"10.{draw % 256}.{(draw >> 8) % 256}.{1 + (draw >> 16) % 254}"
    return str(ipaddress.IPv6Address((0x20010DB8 << 96) + draw % 2**96))


def _mac(text: str, draw: int) -> str:
    return _spelled_like(text, f"02{draw % 16**10:010x}")  # the bit of locally given addresses


def _passport(text: str, draw: int) -> str:
    return _respelled(text, draw, 0)


_MAKERS: Mapping[str, Callable[[str, int], str]] = {
    "email": _email,
    "wallet": _wallet,
    "iban": _iban,
    "card": _card,
    "ssn": _ssn,
    "mac": _mac,
    "ip": _ip,
    "passport": _passport,
    "phone": _phone,
    "url": _url,
}


def _respelled(text: str, draw: int, keep: int) -> str:
    """New digits for digits, new capitals for capitals, from the one after the first `keep` digits on."""
    made = []
    for character in text:
        if "0" <= character <= "9":
            keep -= 1
            if keep < 0:
                character, draw = str(draw % 10), draw // 10
        elif "A" <= character <= "Z" and keep <= 0:
            character, draw = _LETTERS[draw % len(_LETTERS)], draw // len(_LETTERS)
        made.append(character)
    return "".join(made)


def _spelled_like(text: str, fresh: str) -> str:
    """The letters and digits of `fresh` in the places that `text` has them, with its gaps between."""
    left = iter(fresh)
    return "".join(next(left) if character.isalnum() else character for character in text)
