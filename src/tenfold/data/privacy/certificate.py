"""The certificate of an erasure: what was searched and done, signed with a key of the house.

It holds no identifier, only keyed hashes. The signature is an HMAC: whoever holds the key can verify it, and
could have made it; that it was made then is shown by the audit's hash chain, which holds its digest.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.core.keys import canonical_json, digest
from tenfold.data.privacy.subject_key import SubjectKey
from tenfold.errors import InputError

FORMAT = "tenfold-erasure-1"


def sign(body: Mapping[str, Any], key: SubjectKey) -> dict[str, Any]:
    """`body` with the fingerprint of the key, and the signature over all of it."""
    whole = {"format": FORMAT, "key": str(key), **body}
    return {**whole, "signature": _signature(whole, key)}


def digest_of(certificate: Mapping[str, Any]) -> str:
    """What the audit holds of it."""
    return digest(canonical_json(dict(certificate)))


def verified(certificate: Mapping[str, Any], key: SubjectKey) -> str | None:
    """Why it is not what this house signed; None when it is."""
    if certificate.get("format") != FORMAT:
        return "not a certificate of this format"
    if certificate.get("key") != str(key):
        return "signed with another key than the one here"
    body = {name: value for name, value in certificate.items() if name != "signature"}
    if not hmac.compare_digest(str(certificate.get("signature")), _signature(body, key)):
        return "changed since it was signed"
    return None


def read_certificate(path: Path) -> dict[str, Any]:
    """Raises InputError."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"not a certificate: {error}", where=str(path)) from None
    if not isinstance(read, dict):
        raise InputError("not a certificate: no JSON object", where=str(path))
    return read


def _signature(body: Mapping[str, Any], key: SubjectKey) -> str:
    return key.digest("certificate", canonical_json(dict(body)).decode()).hex()
