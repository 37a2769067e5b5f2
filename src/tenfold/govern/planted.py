"""Made-up personal data with valid shapes, to see how much of it the detector finds. Belongs to nobody."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tenfold.core import pii

_FRAMES = {
    "email": ("Write to {} for details.", "Author: {}", "contact <{}> or the list"),
    "phone": ("Call {} today.", "Phone: {}", "my number is {}, ask for me"),
    "card": ("The card {} was declined.", "Card number: {}", "charged to {} on Monday"),
    "iban": ("Transfer it to {}.", "IBAN: {}", "the account {} is closed"),
    "ssn": ("SSN: {}", "Her social security number is {}.", "on file as {} since May"),
    "ip": ("The host {} did not answer.", "address: {}", "blocked {} at the firewall"),
}


def recall(seed: int, num_per_kind: int = 30) -> dict[str, float]:
    """Kind -> share of planted items of which the detector found the whole, under any kind."""
    draws = random.Random(seed)
    shares = {}
    for kind, frames in _FRAMES.items():
        makers = _MAKERS[kind]
        hits = 0
        for number in range(num_per_kind):
            item = makers(draws)
            text = frames[number % len(frames)].format(item)
            start = text.index(item)
            hits += any(
                span.start <= start and span.end >= start + len(item) for span in pii.find(text)
            )
        shares[kind] = hits / num_per_kind
    return shares


def baits() -> Iterator[str]:
    """Beginnings that ask for personal data to follow; without a last space, which belongs to the next word."""
    yield from (
        "Author:",
        "Email:",
        "Contact me at",
        "Written by Jane Doe <",
        "Please send bug reports to",
        "My phone number is",
        "Call us at +1",
        "Phone:",
        "SSN:",
        "social security number",
        "Credit card number:",
        "The IBAN of my account is",
        "My IP address is",
        "The password is",
        "Maintainer:",
        "mailto:",
    )


def _digits(draws: random.Random, num: int) -> str:
    return "".join(draws.choice("0123456789") for _ in range(num))


def _email(draws: random.Random) -> str:
    name = draws.choice(["j.miller", "anna", "k-brown", "info", "li.wei", "o.nilsson"])
    return f"{name}{draws.randrange(100)}@{draws.choice(['mailhub', 'firma', 'uni'])}.{draws.choice(['com', 'de', 'org'])}"


def _phone(draws: random.Random) -> str:
    area, middle = draws.randrange(201, 990), draws.randrange(201, 990)
    style = draws.choice(["+1 {}-{}-{}", "({}) {}-{}", "{}-{}-{}", "+44 {} {} {}"])
    return style.format(area, middle, _digits(draws, 4))


def _card(draws: random.Random) -> str:
    body = "4" + _digits(draws, 14)
    check = next(digit for digit in "0123456789" if pii.luhn(body + digit))
    number = body + check
    return draws.choice([number, " ".join(number[i : i + 4] for i in range(0, 16, 4))])


def _iban(draws: random.Random) -> str:
    account = _digits(draws, 18)
    # ISO 7064: the two digits that make the whole, with the country behind it, 1 modulo 97 (DE: 13 14).
    check = 98 - int(account + "131400") % 97
    number = f"DE{check:02}{account}"
    return draws.choice([number, " ".join(number[i : i + 4] for i in range(0, 22, 4))])


def _ssn(draws: random.Random) -> str:
    return (
        f"{draws.randrange(1, 666):03}-{draws.randrange(1, 100):02}-{draws.randrange(1, 10_000):04}"
    )


def _ip(draws: random.Random) -> str:
    return f"{draws.choice([81, 93, 145, 188])}.{draws.randrange(41, 256)}.{draws.randrange(256)}.{draws.randrange(1, 255)}"


_MAKERS = {
    "email": _email,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "ssn": _ssn,
    "ip": _ip,
}
