"""What is read from a gateway: models, health, metrics, and the way to the console.

These answers cost nobody anything and leave no event. It decides nothing about generations.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import orjson

from tenfold.serve.backends.base import ModelCard
from tenfold.serve.gateway import openapi
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.exposition import health, metrics_page
from tenfold.serve.gateway.page import CONTENT_TYPE
from tenfold.serve.gateway.snapshot import merge
from tenfold.serve.gateway.surrogates import purge_edges
from tenfold.serve.http.request import Request
from tenfold.serve.protocols.ask import decode
from tenfold.serve.protocols.messages_error import error_of
from tenfold.serve.refusal import Refusal, loggable, refusal_of, unknown_model

if TYPE_CHECKING:
    from tenfold.serve.gateway.app import Gateway

log = logging.getLogger("tenfold.gateway")

MODELS = "/v1/models"
PURGE = "/admin/purge"
_SETTLE_S = 2.0
"""How long `/metrics` waits for a window to close; a slow ledger must not hold up monitoring."""
_JSON = b"content-type: application/json\r\n"


class Purge(msgspec.Struct):
    tags: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=200)]],
        msgspec.Meta(min_length=1, max_length=100),
    ]


class Pages:
    def __init__(self, gateway: Gateway, endpoints: list[str]) -> None:
        self._gateway = gateway
        self._endpoints = endpoints
        self._document = b""
        """Made when it is first asked for."""
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> None:
        """Answer at once, but for `/metrics`, which waits for its figures."""
        exchange = self._gateway.page_exchange()
        slow = None
        if request.path == "/metrics" and request.method in ("GET", "HEAD"):
            slow = self._metrics
        elif request.path == PURGE:
            slow = self._purge
        if slow is not None:
            task = asyncio.get_running_loop().create_task(slow(request, exchange))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        try:
            self._page(request, exchange)
        except Exception as error:
            self._refuse(request, exchange, error)
        self._note(exchange)

    def _page(self, request: Request, exchange: Exchange) -> None:
        gateway, path = self._gateway, request.path
        exchange.tier = "none"
        if path == "/healthz":
            exchange.endpoint = path
            _reading(request)
            status, body = health(gateway.fleet, gateway.state, gateway.recorder.trouble)
            self._reply(request, exchange, status, _JSON, body)
        elif path == "/" and gateway.front_page is not None and _wants_a_page(request):
            exchange.endpoint = path
            place = b"location: %b\r\n" % gateway.front_page.encode()
            self._reply(request, exchange, 307, place, b"")
        elif path == MODELS or path.startswith(MODELS + "/"):
            exchange.endpoint = MODELS
            _reading(request)
            grant = gateway.keys.admit(
                request.header(b"authorization"), request.header(b"x-api-key")
            )
            cards = [
                card
                for card in gateway.fleet.cards()
                if grant.models is None or card.name in grant.models
            ]
            name = path[len(MODELS) + 1 :]
            if path == MODELS:
                body = orjson.dumps({"object": "list", "data": list(map(_card, cards))})
            else:
                found = next((card for card in cards if card.name == name), None)
                if found is None:
                    raise unknown_model(loggable(name), [card.name for card in cards])
                body = orjson.dumps(_card(found))
            self._reply(request, exchange, 200, _JSON, body)
        elif path == openapi.PATH:
            exchange.endpoint = path
            _reading(request)
            self._document = self._document or openapi.document(Purge)
            self._reply(request, exchange, 200, _JSON, self._document)
        else:
            raise Refusal(
                404,
                f"Unknown request URL: {loggable(request.method)} {loggable(path)}. This gateway has "
                f"{', '.join([*self._endpoints, MODELS])}, /healthz, /metrics and {openapi.PATH}.",
                code="unknown_url",
            )

    async def _purge(self, request: Request, exchange: Exchange) -> None:
        """Forget stored answers: `{"tags": ["tenant:acme", "model:<digest>", "key:<surrogate>", "all"]}`."""
        gateway = self._gateway
        exchange.endpoint, exchange.tier = PURGE, "none"
        try:
            if request.method != "POST":
                raise Refusal(405, f"Use POST on {PURGE}.", headers=((b"allow", b"POST"),))
            grant = gateway.keys.admit(
                request.header(b"authorization"), request.header(b"x-api-key"), "admin"
            )
            wanted, _ = decode(request.body, Purge)
            for tag in wanted.tags:
                gateway.tiers.purge(tag)
            gateway.recorder.audit(
                grant.key_name, "cache.purge", loggable(",".join(wanted.tags), 1000), {}
            )
            troubles = await purge_edges(gateway.config.edges, wanted.tags)
            told = {"purged": wanted.tags, "edges_not_reached": troubles}
            self._reply(request, exchange, 200 if not troubles else 207, _JSON, orjson.dumps(told))
        except Exception as error:
            self._refuse(request, exchange, error)
        self._note(exchange)

    async def _metrics(self, request: Request, exchange: Exchange) -> None:
        gateway = self._gateway
        exchange.endpoint, exchange.tier = "/metrics", "none"
        try:
            # Energy and cost up to this moment, not up to the last window.
            await asyncio.to_thread(gateway.recorder.settle, _SETTLE_S)
            body = metrics_page(merge(await gateway.snapshots()))
            self._reply(request, exchange, 200, b"content-type: %b\r\n" % CONTENT_TYPE, body)
        except Exception as error:
            self._refuse(request, exchange, error)
        self._note(exchange)

    def _reply(
        self, request: Request, exchange: Exchange, status: int, head: bytes, body: bytes
    ) -> None:
        exchange.status = status
        request.reply(status, head + b"x-request-id: %b\r\n" % exchange.id.encode(), body)

    def _refuse(self, request: Request, exchange: Exchange, error: Exception) -> None:
        refusal = refusal_of(error)
        if refusal.status == 500:
            log.error("request %s failed", exchange.id, exc_info=error)
        exchange.tier = "refused"
        further = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
        body = error_of(request.path, refusal, exchange.id)
        self._reply(request, exchange, refusal.status, _JSON + further, body)

    def _note(self, exchange: Exchange) -> None:
        self._gateway.recorder.count(exchange)


def _wants_a_page(request: Request) -> bool:
    """A browser, which names text/html; API clients take anything or JSON."""
    accept = request.header(b"accept") or b""
    return request.method in ("GET", "HEAD") and b"text/html" in accept.lower()


def _reading(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise Refusal(
            405,
            f"{loggable(request.method)} is not allowed on {loggable(request.path)}; use GET.",
            code="method_not_allowed",
            headers=((b"allow", b"GET, HEAD"),),
        )


def _card(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.name,
        "object": "model",
        "created": card.created_at_s,
        "owned_by": card.owner,
        "digest": card.digest,
        "context_tokens": card.context_tokens,
    }
