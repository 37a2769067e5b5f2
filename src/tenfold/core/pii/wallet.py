"""Addresses of crypto wallets: Bitcoin and its kin (base58check, bech32), Ethereum (EIP-55). By their checksums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.checksums import base58_payload, bech32_valid, eip55_valid
from tenfold.core.pii.numbers import Run, before

_BASE58 = re.compile(r"[13LMDTAt9][1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)")
_VERSIONS = frozenset({0x00, 0x05, 0x1E, 0x16, 0x30, 0x32, 0x41, 0x17})
"""First byte of addresses: Bitcoin, Dogecoin, Litecoin, Tron (SLIP-44 keeps the coins, their nodes the bytes)."""
_BECH32 = re.compile(r"(?:bc1|ltc1|BC1|LTC1)[02-9A-Za-z]{11,87}(?!\w)")
_HEX = re.compile(r"0x[0-9A-Fa-f]{40}(?!\w)")
_HEX_WORD = re.compile(r"(?i)\b(?:eth(?:ereum)?|wallet|erc-?20|usdt|usdc|address)\b")


def wallets(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for match in _BASE58.finditer(text):
        if not _joined(text, match.start()):
            payload = base58_payload(match[0])
            if payload is not None and len(payload) == 21 and payload[0] in _VERSIONS:
                yield match.span()
    for match in _BECH32.finditer(text):
        one_case = match[0] in (match[0].lower(), match[0].upper())
        if one_case and not _joined(text, match.start()) and bech32_valid(match[0].lower()):
            yield match.span()
    for match in _HEX.finditer(text):
        if not _joined(text, match.start()) and _ethereum(text, match):
            yield match.span()


def _ethereum(text: str, match: re.Match[str]) -> bool:
    """By the checksum in its case; one that was written in a single case needs a word before it."""
    digits = match[0][2:]
    if digits in (digits.lower(), digits.upper()):
        return _HEX_WORD.search(before(text, match.start(), 40)) is not None
    return eip55_valid(digits)


def _joined(text: str, start: int) -> bool:
    ahead = text[start - 1 : start] if start else ""
    return ahead.isalnum() or ahead == "_"
