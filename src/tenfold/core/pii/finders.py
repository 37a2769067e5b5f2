"""Which kind is found by what, strongest check first. Knows no order but that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tenfold.core.pii.bank import cards, ibans
from tenfold.core.pii.identity import passports, ssns
from tenfold.core.pii.mail import emails
from tenfold.core.pii.network import ips, macs, urls
from tenfold.core.pii.numbers import Run
from tenfold.core.pii.phone import phones
from tenfold.core.pii.wallet import wallets

Finder = Callable[[str, Sequence[Run]], Iterator[tuple[int, int]]]
"""From a text and its runs of digits to (start, end) of what it finds."""

FINDERS: Mapping[str, Finder] = {
    "email": emails,
    "wallet": wallets,
    "iban": ibans,
    "card": cards,
    "ssn": ssns,
    "mac": macs,
    "ip": ips,
    "passport": passports,
    "phone": phones,
    "url": urls,
}
EVERY: tuple[str, ...] = tuple(FINDERS)
"""All kinds, strongest check first."""
KINDS: tuple[str, ...] = ("email", "iban", "card", "ssn", "ip", "phone")
"""What is looked for unless somebody asks for more: it is a person's wherever it stands. A web address is
one in a letter and none in a manual, so the others are asked for by name."""
