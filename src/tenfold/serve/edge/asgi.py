"""The edge in Python: one ASGI application that keeps the contract without nginx or Varnish.

    app = AsgiEdge(AsgiEdgeConfig(origin="http://127.0.0.1:8080"), load_secrets(path))

Purges come to `POST /.tenfold/purge` on the same listener and need the password. For one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from tenfold.errors import BackendError, ConfigError
from tenfold.serve.backends.http_pool import Pool, PoolConfig
from tenfold.serve.edge.asgi_origin import Live, Origin
from tenfold.serve.edge.asgi_request import EdgeRequest
from tenfold.serve.edge.asgi_store import Entry, Headers, Store
from tenfold.serve.edge.contract import (
    INTERNAL_PATH,
    PURGE_MODE,
    PURGE_PATH,
    SURROGATE_KEY,
    VERDICT,
)
from tenfold.serve.edge.secrets import EdgeSecrets
from tenfold.serve.refusal import Refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_MAX_CLIENTS = 4096
"""Addresses of which it is remembered whether they are trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiEdgeConfig:
    origin: str
    """Base URL of the gateway, without a path."""
    trusted: tuple[str, ...] = ()
    """Networks (CIDR) whose slot headers are believed. None by default: tokens only."""
    max_entries: int = 10_000
    """Stored answers; above 0."""
    max_bytes: int = 256 << 20
    """Of all stored answers together; above 0."""
    max_body_bytes: int = 8 << 20
    """The longest answer that is stored; longer ones pass through."""
    max_request_bytes: int = 64 << 20
    """The longest request that is passed on."""
    read_timeout_s: float = 300.0
    """Longest silence of the origin."""

    def __post_init__(self) -> None:
        for name in ("max_entries", "max_bytes", "max_body_bytes", "max_request_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))
        for network in self.trusted:
            try:
                ip_network(network)
            except ValueError:
                raise ConfigError("not a network", seen=network, hint="like 10.0.0.0/8") from None


class AsgiEdge:
    def __init__(
        self, config: AsgiEdgeConfig, secrets: EdgeSecrets, tls: ssl.SSLContext | None = None
    ) -> None:
        self._config = config
        self._purge_line = b"Bearer " + secrets.purge.encode()
        self._keys = secrets.signing_keys
        networks = [ip_network(network) for network in config.trusted]
        self._trusts = lru_cache(maxsize=_MAX_CLIENTS)(partial(_within, networks))
        self._pool = Pool(config.origin, PoolConfig(read_timeout_s=config.read_timeout_s), tls)
        self._store = Store(config.max_entries, config.max_bytes)
        self._origin = Origin(self._pool, self._store, config.max_body_bytes)
        self._refreshing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] != "http":
            return
        try:
            if scope["path"].startswith(INTERNAL_PATH):
                return await self._inside(scope, receive, send)
            body = await self._body(receive)
            if body is None:
                return
            request = EdgeRequest(scope, body)
            entry = (
                self._store.get(request.where, request.headers) if request.may_be_stored else None
            )
            now_s = time.monotonic()
            if entry is not None and entry.usable(now_s, 0):
                return await self._deliver(scope, send, request, entry, b"HIT")
            if entry is not None and entry.usable(now_s, entry.control.stale_while_revalidate_s):
                self._refresh(request, entry)
                return await self._deliver(scope, send, request, entry, b"STALE")
            await _while_there(receive, self._ask(scope, send, request, entry))
        except Refusal as refusal:
            headers = [_JSON, _NO_STORE, *refusal.headers]
            await _respond(send, refusal.status, headers, refusal.body())

    async def _ask(self, scope: Scope, send: Send, request: EdgeRequest, old: Entry | None) -> None:
        verdict = b"MISS" if request.may_be_stored else b"BYPASS"
        ask = self._origin.collapsed if request.may_be_stored else self._origin.fetch
        rescue = (
            old
            if old is not None and old.usable(time.monotonic(), old.control.stale_if_error_s)
            else None
        )
        try:
            found = await ask(request, old)
        except BackendError as error:
            if rescue is None:
                raise Refusal(502, f"The origin does not answer: {error.fact}.", code="bad_gateway") from None  # fmt: skip
            return await self._deliver(scope, send, request, rescue, b"STALE")
        if isinstance(found, Entry):
            return await self._deliver(scope, send, request, found, verdict)
        try:
            if found.status >= 500 and rescue is not None:
                return await self._deliver(scope, send, request, rescue, b"STALE")
            await self._pass_on(send, request, found, verdict)
        finally:
            found.close()

    async def _pass_on(self, send: Send, request: EdgeRequest, live: Live, verdict: bytes) -> None:
        headers = [*live.headers, (VERDICT, verdict)]
        await send({"type": "http.response.start", "status": live.status, "headers": headers})
        if request.method != b"HEAD":
            # An origin that breaks off raises here: the server then breaks off, too, and the client sees it.
            async for part in live.parts():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _deliver(
        self, scope: Scope, send: Send, request: EdgeRequest, entry: Entry, verdict: bytes
    ) -> None:
        headers: Headers = [*entry.headers, (VERDICT, verdict)]
        if entry.template is not None:
            names = [slot.name for slot in entry.template.slots]
            trusted = self._trusts((scope.get("client") or ("",))[0])
            values = request.values(names, trusted, self._keys, time.time())
            body = entry.template.fill(values)
        else:
            body = entry.body
            if entry.etag and _matches(request.headers.get(b"if-none-match", b""), entry.etag):
                kept = [h for h in headers if h[0] != b"content-type"]
                await send({"type": "http.response.start", "status": 304, "headers": kept})
                return await send({"type": "http.response.body", "body": b""})
        await _respond(send, entry.status, headers, body, head=request.method == b"HEAD")

    def _refresh(self, request: EdgeRequest, old: Entry) -> None:
        if self._origin.under_way(request.where):
            return

        async def refresh() -> None:
            with contextlib.suppress(BackendError):
                found = await self._origin.collapsed(request, old)
                if isinstance(found, Live):
                    found.close()

        task = asyncio.create_task(refresh())
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if scope["path"] != PURGE_PATH or not hmac.compare_digest(
            headers.get(b"authorization", b""), self._purge_line
        ):
            raise Refusal(404, "There is nothing here.", code="not_found")
        if scope["method"] != "POST":
            raise Refusal(405, "A purge is a POST.", headers=((b"allow", b"POST"),))
        soft = headers.get(PURGE_MODE) == b"soft"
        now_s = time.monotonic()

        def expire(entry: Entry) -> None:
            entry.fresh_until_s = min(entry.fresh_until_s, now_s)

        keys = headers.get(SURROGATE_KEY, b"").split()
        count = self._store.purge(keys, expire if soft else None)
        await _respond(send, 200, [_JSON, _NO_STORE], b'{"purged":%d}' % count)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None when the client left. Raises Refusal (413)."""
        parts: list[bytes] = []
        num_bytes = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            num_bytes += len(parts[-1])
            if num_bytes > self._config.max_request_bytes:
                raise Refusal(
                    413, "The request body is too large.", code="request_too_large",
                    headers=((b"connection", b"close"),),
                )  # fmt: skip
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        for task in list(self._refreshing):
            task.cancel()
        self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` unless the client leaves first; then what runs upstream for it is cancelled."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, left = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for one in (task, left):
            if not one.done():
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one


def _within(networks: Sequence[IPv4Network | IPv6Network], client: str) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _matches(condition: bytes, etag: bytes) -> bool:
    wanted = [one.strip().removeprefix(b"W/") for one in condition.split(b",")]
    return etag.removeprefix(b"W/") in wanted or wanted == [b"*"]


async def _respond(
    send: Send, status: int, headers: Headers, body: bytes, *, head: bool = False
) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
