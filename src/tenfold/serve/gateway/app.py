"""The gateway as an ASGI application: routes, the door, the error boundary, start and drain.

The path of a request: route, key, body, ask, then `answering`. Whatever goes wrong becomes an answer in the
protocol's error shape and an event in the ledger; nothing a client sends ends the process. It knows no
server and no process; `server` and `process` run it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tenfold.core.ports import Ledger
from tenfold.errors import ConfigError
from tenfold.serve.backends.base import Backend, ModelCard
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.tier import open_tiers
from tenfold.serve.gateway import chat, completion, embedding
from tenfold.serve.gateway.answering import Answering, CacheWishes, Writer
from tenfold.serve.gateway.ask import Ask
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.energy import EnergyBook, Metering
from tenfold.serve.gateway.exchange import Exchange, Ids
from tenfold.serve.gateway.exposition import health, metrics_page, snapshot
from tenfold.serve.gateway.fleet import Fleet
from tenfold.serve.gateway.keys import KeyRing
from tenfold.serve.gateway.neighbour import check_neighbour
from tenfold.serve.gateway.page import CONTENT_TYPE
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.refusal import Refusal, refusal_of, retry_after, unknown_model
from tenfold.serve.gateway.spool import Spool
from tenfold.serve.gateway.transport import (
    CLOSE,
    JSON,
    App,
    ClientGone,
    Header,
    Receive,
    Scope,
    Send,
    read_body,
    respond,
    respond_to_a_sender,
    too_large,
)

log = logging.getLogger("tenfold.gateway")

MODELS = "/v1/models"
CLIENT_GONE = 499
"""nginx's status for a client that left; only the ledger sees it."""
_PROMPTS = {chat.ENDPOINT: "messages", completion.ENDPOINT: "prompt", embedding.ENDPOINT: "input"}
"""The field of each endpoint that can be too long for a model."""
_ALL_WISHES = CacheWishes()
_SETTLE_S = 2.0
"""How long `/metrics` waits for a window to close; a slow ledger must not hold up monitoring."""
_LAST_WORDS_S = 2.0
"""At the end, how long answers that were cut off may take to say so."""


class Gateway:
    """An ASGI callable. Serve it with `server.serve`, or call `startup` and `shutdown` yourself."""

    def __init__(
        self,
        config: GatewayConfig,
        backends: Sequence[Backend],
        ledger: Ledger,
        *,
        metering: Metering | None = None,
        mounts: Mapping[str, App] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`mounts` are applications for other path prefixes (`/console`); they check their own keys.
        A browser that asks for `/` is sent to the first of them.

        Without `metering`, requests carry no energy and no cost, and say so (`energy_method` none).
        """
        names = [backend.name for backend in backends]
        if len(set(names)) != len(names):
            raise ConfigError("two backends have the same name", seen=names)
        self.config = config
        self.fleet = Fleet(backends, config.max_generations)
        self.tiers = open_tiers(config.tiers, {"exact": self._exact})
        self.keys = KeyRing(config.require_keys)
        self.recorder = Recorder(
            ledger,
            source=config.source,
            max_events=config.queue_events,
            flush_s=config.flush_s,
            refresh=self.keys.load,
            refresh_s=config.keys_refresh_s,
            open_book=(
                None
                if metering is None
                else lambda: EnergyBook(metering, self.fleet.pids, config.source)
            ),
            spool=None if config.spool is None else Spool(Path(config.spool), config.spool_bytes),
        )
        self.state = "starting"
        """`starting`, `serving` or `draining`."""
        self._answering = Answering(config, self.tiers, self.fleet, self.recorder)
        self._mounts = tuple((mounts or {}).items())
        self._now = now
        self._ids = Ids()
        self._under_way = 0
        self._posts: dict[str, Callable[..., Awaitable[None]]] = {
            chat.ENDPOINT: self._chat,
            completion.ENDPOINT: self._completion,
            embedding.ENDPOINT: self._embedding,
        }
        self._prefixes = {
            chat.ENDPOINT: chat.PREFIX,
            completion.ENDPOINT: completion.PREFIX,
            embedding.ENDPOINT: embedding.PREFIX,
        }

    async def startup(self) -> None:
        """Read the keys, begin starting the backends. Raises LedgerError when keys cannot be read."""
        await asyncio.to_thread(self.recorder.start)
        self.fleet.start()
        self.state = "serving"

    def drain(self) -> None:
        """From now on new requests are refused and `/healthz` says 503; answers under way go on.

        A mounted application that has streams without an end is told to end them (`close()`).
        """
        self.state = "draining"
        for _, mounted in self._mounts:
            close = getattr(mounted, "close", None)
            if close is not None:
                close()

    async def shutdown(self) -> None:
        """After the last answer: stop the backends, write every event."""
        self.drain()
        deadline = time.monotonic() + _LAST_WORDS_S
        while self._under_way and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self.recorder.stop)
        await self.fleet.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope["path"]
        for prefix, mounted in self._mounts:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                await mounted(scope, receive, send)
                return
        if kind != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        post = self._posts.get(path)
        if post is not None:
            await self._guarded(path, self._prefixes[path], post, scope, receive, send)
        else:
            await self._guarded("other", "req-", self._get, scope, receive, send)

    async def _guarded(
        self,
        endpoint: str,
        prefix: str,
        handle: Callable[..., Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Run one request; make sure it ends with an answer, a metric and an event."""
        exchange = Exchange(endpoint, self._now(), time.monotonic())
        exchange.id = self._ids.next(prefix)
        self._under_way += 1
        try:
            try:
                if prefix != "req-":
                    await handle(
                        exchange,
                        await self._admitted(exchange, scope, receive),
                        scope,
                        receive,
                        send,
                    )
                else:
                    await handle(exchange, scope, send)
            except ClientGone:
                exchange.status, exchange.error = CLIENT_GONE, "the client left"
            except asyncio.CancelledError:
                exchange.status, exchange.error = 503, "cut off: the gateway is shutting down"
                raise
            except Exception as error:
                await self._refuse(exchange, error, receive, send)
        finally:
            self._under_way -= 1
            exchange.ended = time.monotonic()
            exchange.latency_s = exchange.ended - exchange.started
            if prefix != "req-":
                self.recorder.end(exchange)
            else:
                self.recorder.count(exchange)

    async def _admitted(self, exchange: Exchange, scope: Scope, receive: Receive) -> bytes:
        """Through the door: method, key, size, body."""
        if scope["method"] != "POST":
            raise _wrong_method(scope, b"POST")
        authorization: bytes | None = None
        length = encoding = host = origin = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-length":
                length = value
            elif name == b"content-encoding" and value.lower() != b"identity":
                encoding = value
            elif name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        exchange.tenant, exchange.key_name = self.keys.admit(authorization)
        if not exchange.key_name:
            check_neighbour(host, origin)
        if self.state != "serving":
            raise Refusal(
                503,
                f"The gateway is {self.state}.",
                code="gateway_" + self.state,
                headers=(retry_after(1),),
            )
        if encoding:
            raise Refusal(
                415,
                "Compressed request bodies are not taken; send the JSON as it is.",
                code="unsupported_content_encoding",
                headers=(CLOSE,),
            )
        if length and int(length) > self.config.max_body_bytes:
            raise too_large(self.config.max_body_bytes)
        return await read_body(receive, self.config.max_body_bytes, self.config.body_timeout_s)

    async def _chat(
        self, exchange: Exchange, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        await self._text(chat.read(body), chat.ChatAnswer, exchange, scope, receive, send)

    async def _completion(
        self, exchange: Exchange, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        ask = completion.read(body)
        await self._text(ask, completion.CompletionAnswer, exchange, scope, receive, send)

    async def _text(
        self,
        ask: Ask,
        writer: type[Writer],
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        exchange.model = _loggable(ask.model)
        await self._answering.text(ask, writer, exchange, _wishes(scope), receive, send)

    async def _embedding(
        self, exchange: Exchange, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        ask = embedding.read(body)
        exchange.model = _loggable(ask.model)
        await self._answering.embeddings(ask, exchange, _wishes(scope), receive, send)

    async def _get(self, exchange: Exchange, scope: Scope, send: Send) -> None:
        """Everything that is read, and everything that is not there."""
        path: str = scope["path"]
        headers = [(b"x-request-id", exchange.id.encode())]
        if path == "/healthz" or path == "/metrics":
            exchange.endpoint, exchange.tier = path, "none"
            _reading(scope)
            if path == "/healthz":
                exchange.status, body = health(self.fleet, self.state, self.recorder.trouble)
                headers.append(JSON)
            else:
                exchange.status = 200
                # Energy and cost up to this moment, not up to the last window.
                await asyncio.to_thread(self.recorder.settle, _SETTLE_S)
                body = metrics_page(snapshot(self.tiers, self.fleet, self.recorder))
                headers.append((b"content-type", CONTENT_TYPE))
            await respond(send, exchange.status, headers, body)
            return
        if path == "/" and self._mounts and _wants_a_page(scope):
            exchange.endpoint, exchange.tier, exchange.status = "/", "none", 307
            headers.append((b"location", self._mounts[0][0].rstrip("/").encode() + b"/"))
            await respond(send, 307, headers, b"")
            return
        if path != MODELS and not path.startswith(MODELS + "/"):
            raise Refusal(
                404,
                f"Unknown request URL: {scope['method']} {_loggable(path)}. This gateway has "
                f"{', '.join([*self._posts, MODELS])}, /healthz and /metrics.",
                code="unknown_url",
            )
        exchange.endpoint, exchange.tier = MODELS, "none"
        _reading(scope)
        self.keys.admit(dict(scope["headers"]).get(b"authorization"))
        if path == MODELS:
            listed: Any = {"object": "list", "data": [_card(card) for card in self.fleet.cards()]}
        else:
            name = path[len(MODELS) + 1 :]
            listed = next((_card(c) for c in self.fleet.cards() if c.name == name), None)
            if listed is None:
                raise unknown_model(_loggable(name), [card.name for card in self.fleet.cards()])
        exchange.status = 200
        await respond(send, 200, [*headers, JSON], orjson.dumps(listed))

    async def _refuse(
        self, exchange: Exchange, error: Exception, receive: Receive, send: Send
    ) -> None:
        refusal = refusal_of(error, _PROMPTS.get(exchange.endpoint))
        if refusal.status == 500:
            log.error("request %s failed", exchange.id, exc_info=error)
        answered = exchange.status != 0
        exchange.status, exchange.error = refusal.status, refusal.message[:500]
        exchange.tier = "refused"
        if answered:
            return  # bytes are on their way: there is no second status line
        id = exchange.id.encode()
        headers: list[Header] = [
            JSON,
            (b"x-request-id", id),
            (b"x-tenfold-request-id", id),
            (b"x-tenfold-tier", b"refused"),
            *refusal.headers,
        ]
        if refusal.status in (413, 415):
            await respond_to_a_sender(send, receive, refusal.status, headers, refusal.body())
        else:
            await respond(send, refusal.status, headers, refusal.body())

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.startup()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _exact(self) -> ExactTier:
        return ExactTier(
            max_entries=self.config.cache_entries,
            max_bytes=self.config.cache_bytes,
            ttl_s=self.config.cache_ttl_s,
        )


def _wishes(scope: Scope) -> CacheWishes:
    for name, value in scope["headers"]:
        if name == b"cache-control":
            told = {part.strip().lower() for part in value.split(b",")}
            store = b"no-store" not in told
            return CacheWishes(look=store and b"no-cache" not in told, store=store)
    return _ALL_WISHES


def _wants_a_page(scope: Scope) -> bool:
    """A browser, which names text/html; API clients take anything or JSON."""
    return scope["method"] in ("GET", "HEAD") and any(
        name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"]
    )


def _reading(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise _wrong_method(scope, b"GET, HEAD")


def _wrong_method(scope: Scope, allowed: bytes) -> Refusal:
    return Refusal(
        405,
        f"{scope['method']} is not allowed on {_loggable(scope['path'])}; use {allowed.decode()}.",
        code="method_not_allowed",
        headers=((b"allow", allowed),),
    )


def _loggable(text: str) -> str:
    """What a client named, short enough and printable enough for a log, a header and a database."""
    if len(text) <= 200 and text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _card(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.name,
        "object": "model",
        "created": card.created_at_s,
        "owned_by": card.owner,
        "digest": card.digest,
        "context_tokens": card.context_tokens,
    }
