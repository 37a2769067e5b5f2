"""Who may ask an open gateway: programs on this machine, not web pages that happen to be open on it.

Without keys, being on this machine is the only credential, and every page in a browser is on it too. A page
of another site gives itself away by its Origin, and one that had its name point here (DNS rebinding) by the
Host it asks for. Knows two headers.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tenfold.serve.refusal import Refusal


def check_neighbour(host: bytes, origin: bytes) -> None:
    """Raises Refusal (403) for a Host or an Origin that is not this machine. Either may be empty."""
    for what, name in (("host", _name(b"//" + host)), ("origin", _name(origin))):
        if name is not None and not _is_here(name):
            raise Refusal(
                403,
                f"Without a key this gateway answers programs on its own machine only; the {what} is "
                f"{name!r}. Make a key with `tenfold keys create` and send it.",
                code="key_required",
            )


def _name(value: bytes) -> str | None:
    """The host name in a URL or `//host:port`; None where the header was not sent."""
    if value in (b"", b"//"):
        return None
    try:
        return urlsplit(value.decode("latin-1")).hostname or "unknown"
    except ValueError:
        return "unknown"


def _is_here(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
