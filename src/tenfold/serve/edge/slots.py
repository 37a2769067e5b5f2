"""Whose values fill the slots: percent-encoded headers from a trusted hop, or a token signed for one user.

A token is `v1.PAYLOAD.MAC`: base64url without padding of JSON `{"exp": s, "slots": {name: text}}`, and
HMAC-SHA256 over `v1.PAYLOAD`. Values are personal data: nothing here logs or keeps them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote_to_bytes

from tenfold.errors import InputError
from tenfold.serve.edge.templates import NAME

MAX_VALUE_CHARS = 1024
MAX_TOKEN_CHARS = 4096
MAX_SLOTS = 32
_ENCODED = re.compile(rb"(?:[A-Za-z0-9_.~ -]|%[0-9A-Fa-f]{2})*")
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(value: str) -> str:
    """Text that every edge and every context can carry: NUL and lone surrogates become U+FFFD."""
    return _SURROGATES.sub("\ufffd", value.replace("\0", "\ufffd"))


def encode(value: str) -> bytes:
    """A value as a slot header carries it. Raises InputError when it is too long."""
    if len(value) > MAX_VALUE_CHARS:
        raise InputError(
            f"a slot value has more than {MAX_VALUE_CHARS} characters", seen=len(value)
        )
    text = quote(clean(value), safe=" ")  # spaces stay: edges need not decode plain words
    inside = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))  # but for those at an end, which HTTP would drop
    after = len(text) - before - len(inside)
    return ("%20" * before + inside + "%20" * after).encode()


def decode(header: bytes) -> str | None:
    """The value in a slot header; None for what `encode` never writes, which then counts as no value."""
    if len(header) > MAX_VALUE_CHARS * 12 or not _ENCODED.fullmatch(header):
        return None
    try:
        value = clean(unquote_to_bytes(header).decode())
    except UnicodeDecodeError:
        return None
    return value if len(value) <= MAX_VALUE_CHARS else None


def sign(values: Mapping[str, str], secret: bytes, *, expires_s: int) -> str:
    """A token of `values`, good until the Unix time `expires_s`. Raises InputError for what no edge takes."""
    for name, value in values.items():
        if not NAME.fullmatch(name):
            raise InputError("not a slot name", seen=name)
        encode(value)
    if len(values) > MAX_SLOTS:
        raise InputError(f"more than {MAX_SLOTS} slots", seen=len(values))
    content = {"exp": expires_s, "slots": {name: clean(v) for name, v in values.items()}}
    plain = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    payload = b"v1." + base64.urlsafe_b64encode(plain).rstrip(b"=")
    token = (payload + b"." + _mac(payload, secret)).decode()
    if len(token) > MAX_TOKEN_CHARS:
        raise InputError(
            f"a token of more than {MAX_TOKEN_CHARS} characters fits no header", seen=len(token)
        )
    return token


def verify(token: str, secrets: Sequence[bytes], now_s: float) -> dict[str, str]:
    """The values in a token; none if it is broken, too old or signed with none of `secrets`."""
    payload, _, mac = token.rpartition(".")
    version, _, encoded = payload.partition(".")
    if version != "v1" or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        return {}
    signed = payload.encode()
    if not any(hmac.compare_digest(_mac(signed, key), mac.encode()) for key in secrets):
        return {}
    try:
        plain = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        expires_s, values = plain["exp"], plain["slots"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(expires_s, int | float) or expires_s <= now_s or not isinstance(values, dict):
        return {}
    return {
        name: clean(value)
        for name, value in values.items()
        if isinstance(value, str) and len(value) <= MAX_VALUE_CHARS
    }


def _mac(payload: bytes, secret: bytes) -> bytes:
    made = hmac.digest(secret, payload, hashlib.sha256)
    return base64.urlsafe_b64encode(made).rstrip(b"=")
