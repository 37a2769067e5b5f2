"""Personal data with a shape: mail addresses, IBANs, cards, IP addresses, phone and US social security numbers.

Every pattern is followed by a check (a checksum, a number plan, a reserved range) so that a build number
is not taken for a card. Names and postal addresses have no shape and are not found here. Offsets count
characters of the text as given. Knows nothing about documents, models or policies.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One find: `text[start:end]` of the searched text."""

    start: int
    end: int
    kind: str
    text: str


def find(text: str, kinds: Iterable[str] | None = None) -> list[Span]:
    """Every span of the wanted kinds (all of KINDS by default), in order, never overlapping.

    Where two kinds claim the same characters, the one with the stronger check wins (KINDS is that order).
    """
    wanted = KINDS if kinds is None else tuple(kind for kind in KINDS if kind in set(kinds))
    taken: list[Span] = []  # always sorted, so that the neighbours tell whether a place is free
    for kind in wanted:
        for start, end in _FINDERS[kind](text):
            place = bisect_left(taken, start, key=lambda span: span.start)
            free_before = place == 0 or taken[place - 1].end <= start
            if free_before and (place == len(taken) or end <= taken[place].start):
                taken.insert(place, Span(start, end, kind, text[start:end]))
    return taken


def redact(text: str, kinds: Iterable[str] | None = None) -> str:
    """`text` with every span replaced by its kind, such as `[EMAIL]`; `find` sees nothing in the result."""
    return redact_counted(text, kinds)[0]


def redact_counted(text: str, kinds: Iterable[str] | None = None) -> tuple[str, Counter[str]]:
    """Like `redact`, with the number of replacements by kind.

    Taking one span out can bring its neighbour into view ("x@a.org5.6.7.8"), so it repeats until nothing
    is left. It ends because every round removes a digit or an at sign and placeholders bring none.
    """
    counts: Counter[str] = Counter()
    wanted = None if kinds is None else tuple(kinds)
    while spans := find(text, wanted):
        pieces: list[str] = []
        at = 0
        for span in spans:
            counts[span.kind] += 1
            pieces += (text[at : span.start], f"[{span.kind.upper()}]")
            at = span.end
        text = "".join(pieces) + text[at:]
    return text, counts


# --- checksums -------------------------------------------------------------------------------------------


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_valid(iban: str) -> bool:
    """Country, length and the mod-97 check of ISO 13616 (ISO/IEC 7064). Upper case, without spaces."""
    if _IBAN_LENGTHS.get(iban[:2]) != len(iban):
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK", "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL", "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE",
        "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Country code -> characters (SWIFT IBAN registry)."""


# --- one finder per kind: text -> (start, end) -----------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-](?:[\w.+%'-]{0,63})"
    r"(?:@|\ ?[\[(<{](?:at|AT)[\])>}]\ ?)"
    r"(?P<domain>(?:\w(?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_]{2,24})(?![\w-])"
)
_RESERVED_DOMAIN = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)$", re.IGNORECASE
)
"""Names that belong to nobody (RFC 2606, RFC 6761, RFC 6762)."""


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" not in text and "at" not in text.lower():
        return
    for match in _EMAIL.finditer(text):
        if not _RESERVED_DOMAIN.search(match["domain"]):
            yield match.span()


_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ A-Za-z0-9]{11})(?:[ ]?[A-Za-z0-9]{4}){2,7}(?:[ ]?[A-Za-z0-9]{1,3})?"
)


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        # The pattern is greedy over spaces: cut at the length the country uses.
        end, seen = match.start(), 0
        while end < len(text) and seen < length:
            seen += text[end] != " "
            end += 1
        after = text[end : end + 1]
        whole = text[match.start() : end].replace(" ", "").upper()
        if not (after.isalnum() and after.isascii()) and whole.isalnum() and iban_valid(whole):
            yield match.start(), end


_CARD = re.compile(r"(?<![\w.+-])(?:\d[ -]?){11,18}\d(?![\w-])(?!\.\d)", re.ASCII)
_CARD_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$"  # Visa
    r"|(?:5[1-5]|2[2-7])\d{14}$"  # Mastercard
    r"|3[47]\d{13}$"  # American Express
    r"|3(?:0|6|8|9)\d{12,17}$"  # Diners Club
    r"|(?:2131|1800)\d{11}$|35\d{14,17}$"  # JCB
    r"|6(?:011|4|5)\d{12,17}$|62\d{14,17}$"  # Discover, UnionPay
    r"|(?:5[06-9]|6\d)\d{10,17}$"  # Maestro
)
"""Issuer ranges and lengths of ISO/IEC 7812 numbers in use."""
_CARD_BEFORE = re.compile(r"(?i)\b(?:card|cc|visa|mastercard|amex)\b")
"""After such a word any issuer will do."""


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        number = match[0]
        digits = number.replace(" ", "").replace("-", "")
        groups = re.split("[ -]", number)
        if len(groups) > 1 and min(len(group) for group in groups[:-1]) < 4:
            continue  # cards are written in groups of four or more; dates and phone numbers are not
        named = _CARD_BEFORE.search(text[max(0, match.start() - 24) : match.start()])
        if len(set(digits)) > 1 and (named or _CARD_ISSUER.match(digits)) and luhn(digits):
            yield match.span()


_SSN = re.compile(
    r"(?<![\w.+/-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w/-])(?!\.\d)", re.ASCII
)
"""Areas 000, 666 and 900-999, group 00 and serial 0000 are never issued (SSA, since 2011)."""
_SSN_BARE = re.compile(
    r"(?i:\bssn\b|\bsocial security\b)\D{0,24}(?P<number>(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4})(?!\d)",
    re.ASCII,
)


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    for match in _SSN.finditer(text):
        yield match.span()
    for match in _SSN_BARE.finditer(text):
        yield match.span("number")


_IPV4 = re.compile(r"(?<![\w.+-])(?:\d{1,3}\.){3}\d{1,3}(?![\w/-])(?!\.\d)", re.ASCII)
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{1,4}:){1,6}|[0-9A-Fa-f]{0,4}::(?:[0-9A-Fa-f]{1,4}:){0,5})"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{0,4}:){0,5}[0-9A-Fa-f]{0,4})(?![\w:/])",
    re.ASCII,
)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:version|release|\bver\.?|\bv|section|chapter|rfc|build|kernel|[=~<>]=?)\s*$"
)
_ADDRESS_BEFORE = re.compile(r"(?i)\b(?:ip|ipv[46]|address|addr|host|server|ping|client|peer)\b")
_DOCUMENTATION = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
"""RFC 5737, RFC 3849, RFC 9637."""


def _ips(text: str) -> Iterator[tuple[int, int]]:
    """Hosts only: networks (`/24`), reserved ranges and what reads like a version number are left alone."""
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        octets = match[0].split(".")
        if _VERSION_BEFORE.search(before) or any(o != "0" and o[0] == "0" for o in octets):
            continue
        if max(map(int, octets)) <= 40 and not _ADDRESS_BEFORE.search(before):
            continue  # 2.6.18.6 is a version or a section until something says address
        if _is_host(match[0]):
            yield match.span()
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            groups = [group for group in match[0].split(":") if group]
            if len(groups) >= 3 and re.search(r"\d", match[0]) and _is_host(match[0]):
                yield match.span()


def _is_host(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return False
    if ip.version == 4 and ip.packed[0] in (0, 255):
        return False
    return not any(ip in block for block in _DOCUMENTATION if block.version == ip.version)


_EXTENSION = r"(?:\ ?(?:x|ext\.?)\ ?\d{1,5})?"
_PHONE_PLAIN = re.compile(
    # +46 (0)8 928 571 38: the E.164 plus sign is proof enough
    r"(?<![\w.+-])(?<!\d\ )(?:\+[1-9]\d{0,2}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,4}){2,5}"
    # 001-518-640-0854, (579)888-3058, 905-674-3793, 259.735.7502: the North American plan
    r"|(?:(?:001|\+?1)[ .-])?(?:\([2-9]\d{2}\)\ ?|[2-9]\d{2}(?P<s>[.-]))[2-9]\d{2}(?(s)(?P=s)|[ .-])\d{4}"
    # (07700) 063 966, 0490 75 40 81, 03.93.92.16.85: a trunk zero and groups
    r"|0\d{1,4}(?P<g>[ .])\d{2,4}(?P=g)\d{2,4}(?:(?P=g)\d{2,4}){1,2}"
    r"|07\d{3}\ \d{3}\ \d{3}"
    rf"){_EXTENSION}(?![\w]|[.-]\d)",
    re.ASCII,
)
_PHONE_LABELLED = re.compile(
    r"(?i:(?<!\[)\b(?:phone|telephone|tel|mobile|cell|fax|desk|call|calling|dial|whatsapp|sms|text)\b"
    r"(?:\s(?:me|us|him|her|at|on|number|no|is|to|my)\b){0,3}"
    r"|\b(?:messages?\ to|answering\ at|reach\ (?:me|us|him|her)\ (?:at|on)))"
    r"[.:,\s]{1,4}(?P<number>\(?\+?\d(?:[ .()-]{0,2}\d){6,14}" + _EXTENSION + r")(?![\w]|[.-]\d)",
    re.ASCII,
)
_PHONE_TRAILED = re.compile(
    r"(?<![\w.+-])(?P<number>\(?\+?\d(?:[ .()-]{0,2}\d){6,14}"
    + _EXTENSION
    + r")[ ,-]{1,2}(?i:office|fax|mobile|home|cell|work)\b",
    re.ASCII,
)
_DATE = re.compile(
    r"(?:19|20)\d{2}(?P<a>[-./ ])[01]?\d(?P=a)[0-3]?\d(?!\d)|\d{1,2}(?P<b>[-./ ])\d{1,2}(?P=b)(?:19|20)\d{2}(?!\d)"
)


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for pattern, group in (
        (_PHONE_PLAIN, 0),
        (_PHONE_LABELLED, "number"),
        (_PHONE_TRAILED, "number"),
    ):
        for match in pattern.finditer(text):
            number = match[group]
            if 7 <= sum(map(str.isdigit, number)) <= 20 and not _DATE.match(number):
                yield match.span(group)


_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ssn": _ssns,
    "ip": _ips,
    "phone": _phones,
}
KINDS: tuple[str, ...] = tuple(_FINDERS)
"""The kinds `find` knows, strongest check first."""
