"""The secret that turns identifiers into keyed hashes. Reads as its fingerprint wherever it is written down.

Kept in a file that only its owner may read. Losing it makes every `subjects` column and every stand-in
unrelated to what comes later; handing it out makes them personal data again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from tenfold.errors import ConfigError

_HEX = re.compile(rb"[0-9a-f]{64}\n?")
SUBJECT_BYTES = 16


class SubjectKey(str):
    """As a text it is the fingerprint of the secret: what manifests, logs and keys of stages may show."""

    secret: bytes

    def __new__(cls, secret: bytes) -> SubjectKey:
        if len(secret) != 32:
            raise ConfigError("a subject key has 32 bytes", seen=len(secret))
        made = super().__new__(
            cls, hmac.new(secret, b"fingerprint", hashlib.sha256).hexdigest()[:16]
        )
        made.secret = secret
        return made

    def __getnewargs__(self) -> tuple[bytes]:  # type: ignore[override]
        return (self.secret,)

    def digest(self, purpose: str, text: str) -> bytes:
        """32 bytes: HMAC-SHA256 of a text, apart from what any other purpose gives (RFC 2104)."""
        message = purpose.encode() + b"\0" + text.encode(errors="surrogatepass")
        return hmac.digest(self.secret, message, "sha256")

    def subject(self, form: str) -> bytes:
        """What stands in the column `subjects` for one form of an identifier."""
        return self.digest("subject", form)[:SUBJECT_BYTES]


def open_key(path: Path) -> SubjectKey:
    """The key in a file, made there at first use. Raises ConfigError for one that others may read."""
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(
            FileExistsError
        ):  # whoever was first has made the one key there is
            os.link(fresh, path)
    finally:
        fresh.unlink()
    return _read(path)


def _read(path: Path) -> SubjectKey:
    text = path.read_bytes()
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(
            "others may read the subject key", where=str(path), hint="chmod 600, and think who did"
        )
    if not _HEX.fullmatch(text):
        raise ConfigError("a subject key is 64 hex digits", where=str(path))
    return SubjectKey(bytes.fromhex(text.decode()))
