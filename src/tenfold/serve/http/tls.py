"""TLS for a server: a context from a certificate and its key. It knows no connection."""

from __future__ import annotations

import ssl
from pathlib import Path

from tenfold.errors import ConfigError

_HINT = "PEM files: the certificate with those that vouch for it, and its key without a passphrase"


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and up. Raises ConfigError for files that are missing, unreadable or do not belong together."""
    for name, path in (("certificate", certificate), ("key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the TLS {name} cannot be read: {error.strerror}", where=str(path), hint=_HINT
            ) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fact = "the TLS key is not the certificate's"
        else:
            fact = "the TLS certificate or key is not a PEM file that can be used"
        raise ConfigError(fact, where=f"{certificate}, {key}", hint=_HINT) from None
    return context


def _no_passphrase() -> str:
    """Asked for a key with one: without this, OpenSSL would ask on the terminal and wait."""
    return ""
