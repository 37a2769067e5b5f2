"""Who may look: loopback clients that mean this host. And the headers every answer carries.

A page of another site can make a browser send requests here (DNS rebinding gives it our address under
its own name), so the Host must be one of ours, the Origin too. Nothing is ever written, but at addresses
the application names; a page of ours must ask, in JSON, which no form of another site can. Knows nothing
about pages.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
CONTENT_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """An ASGI app that lets through what may pass, and hardens what goes back."""

    def __init__(
        self,
        app: App,
        *,
        allowed_hosts: Collection[str],
        allow_remote: bool,
        writes: Callable[[str], bool] = lambda path: False,
    ) -> None:
        """`writes` tells the paths that take a POST."""
        self._app = app
        self._writes = writes
        self._hosts = {host.strip("[]").lower() for host in allowed_hosts}
        self._allow_remote = allow_remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def hardened(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        refused = self.refusal(scope)
        if refused is None:
            await self._app(scope, receive, hardened)
            return
        status, text = refused
        body = (text + "\n").encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        headers.append((b"content-length", str(len(body)).encode()))
        await hardened({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, or None for a request that may pass."""
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        host = headers.get("host", b"").decode("latin-1")
        client = scope.get("client")
        if not self._allow_remote and client and not _is_loopback(client[0]):
            return 403, "the console answers this machine only: use an SSH tunnel"
        if hostname(host) not in self._hosts:
            return (
                421,
                "this host is not served here: open the console by the address that tenfold serve printed",
            )
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and _netloc(origin) != host.lower():
            return 403, "a page of another site may not read the console"
        site = headers.get("sec-fetch-site", b"")
        if site == b"cross-site" and headers.get("sec-fetch-mode") != b"navigate":
            return 403, "a page of another site may not read the console"
        if scope["method"] == "POST" and self._writes(scope["path"]):
            kind = headers.get("content-type", b"").decode("latin-1").partition(";")[0].strip()
            if not origin or site not in (b"", b"same-origin") or kind != "application/json":
                return 403, "only a page of the console itself may write, in JSON"
        elif scope["method"] not in ("GET", "HEAD"):
            return 405, "the console only reads; each page shows the command that acts"
        return None


def hostname(host: str) -> str:
    """`localhost` of `localhost:8080`, `::1` of `[::1]:8080`; empty for what is no host."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return ""
    return (parts.hostname or "").rstrip(".")


def _netloc(origin: str) -> str | None:
    parts = urlsplit(origin)
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
