"""Check digits: Luhn, mod 97, base58check, bech32, EIP-55. Each is a published rule; none knows a pattern."""

from __future__ import annotations

import hashlib


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(code: str) -> int:
    """Of letters and digits as ISO/IEC 7064 reads them (A is 10), the first four moved to the end."""
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97


def iban_valid(iban: str) -> bool:
    """Country, length and the mod-97 check of ISO 13616 (ISO/IEC 7064). Upper case, without spaces."""
    return IBAN_LENGTHS.get(iban[:2]) == len(iban) and mod97(iban) == 1


IBAN_LENGTHS = {
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

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58_payload(text: str) -> bytes | None:
    """What a base58check text holds without its four check bytes (double SHA-256); None when they are wrong."""
    value = 0
    for character in text:
        place = _BASE58.find(character)
        if place < 0:
            return None
        value = value * 58 + place
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    raw = bytes(len(text) - len(text.lstrip("1"))) + raw
    payload, check = raw[:-4], raw[-4:]
    whole = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == check
    return payload if whole and len(check) == 4 else None


_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def bech32_valid(address: str) -> bool:
    """Whether a whole lower-case address passes the checksum of bech32 (BIP-173) or bech32m (BIP-350)."""
    prefix, _, data = address.rpartition("1")
    values = [_BECH32.find(character) for character in data]
    if not prefix or len(data) < 6 or min(values) < 0:
        return False
    check = 1
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    for value in expanded + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


def eip55_valid(address: str) -> bool:
    """Whether the case of an Ethereum address's 40 hex digits is the checksum of EIP-55."""
    lower = address.lower()
    hashed = keccak256(lower.encode()).hex()
    return all(
        (digit.upper() if int(nibble, 16) > 7 else digit) == seen
        for digit, nibble, seen in zip(lower, hashed, address, strict=False)
    )


def keccak256(data: bytes) -> bytes:
    """The Keccak that Ethereum uses: SHA-3 before its padding was changed, so hashlib has none.

    The permutation is Keccak-f[1600] as in the Keccak reference, section 1.2; rate 136 bytes.
    """
    rate = 136
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % rate))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), rate):
        for lane in range(rate // 8):
            at = start + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[at : at + 8], "little")
        _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permute(lanes: list[int]) -> None:
    """Keccak-f[1600] on 25 lanes, lane (x, y) at x + 5 y."""
    feedback = 1
    for _ in range(24):
        parity = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        for x in range(5):
            mixed = parity[x - 1] ^ _turned(parity[(x + 1) % 5], 1)
            for y in range(0, 25, 5):
                lanes[x + y] ^= mixed
        x, y, moved = 1, 0, lanes[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            lanes[x + 5 * y], moved = (
                _turned(moved, (step + 1) * (step + 2) // 2 % 64),
                lanes[x + 5 * y],
            )
        for y in range(0, 25, 5):
            row = lanes[y : y + 5]
            for x in range(5):
                lanes[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
        for bit in range(7):  # the round constant, from the reference's shift register
            feedback = (feedback << 1 ^ (feedback >> 7) * 0x71) & 0xFF
            if feedback & 2:
                lanes[0] ^= 1 << ((1 << bit) - 1)


def _turned(lane: int, places: int) -> int:
    return (lane << places | lane >> 64 - places) & 0xFFFFFFFFFFFFFFFF if places else lane
