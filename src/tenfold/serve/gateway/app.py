"""The gateway: routes, the door, the error boundary, start and drain.

The path of a request: route, key, limits, body, tiers, then `path`. Whatever goes wrong becomes an answer in
the protocol's error shape and an event in the ledger; nothing a client sends ends the process. It knows no
server and no process; `server` and `workers` run it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tenfold.core.ports import Ledger
from tenfold.serve.access.grant import Grant
from tenfold.serve.access.keys import KeyRing
from tenfold.serve.access.prices import PriceBook
from tenfold.serve.backends.base import Backend
from tenfold.serve.batch.service import BatchService
from tenfold.serve.cache.key import canonical_key, long_numbers
from tenfold.serve.cache.policy import CachePolicy, wishes
from tenfold.serve.gateway.attempt import attempt_at
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.energy import EnergyBook, Metering
from tenfold.serve.gateway.exchange import Exchange, Ids
from tenfold.serve.gateway.exposition import snapshot
from tenfold.serve.gateway.heads import Headers, heads_of, shares, telling
from tenfold.serve.gateway.memo import Known, Memo
from tenfold.serve.gateway.neighbour import check_neighbour
from tenfold.serve.gateway.pages import Pages
from tenfold.serve.gateway.parts import Parts, open_parts
from tenfold.serve.gateway.path import Path
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.siblings import Siblings
from tenfold.serve.gateway.snapshot import Snapshot
from tenfold.serve.gateway.spool import Spool
from tenfold.serve.gateway.work import Work, Works
from tenfold.serve.http.asgi import App, Mounted
from tenfold.serve.http.request import Request
from tenfold.serve.protocols.ask import Ask, Dialect
from tenfold.serve.protocols.chat import Chat
from tenfold.serve.protocols.completion import Completion
from tenfold.serve.protocols.embedding import Embedding
from tenfold.serve.protocols.forms import CONVERTIBLE
from tenfold.serve.protocols.messages import Messages
from tenfold.serve.protocols.messages_count import MessagesCount
from tenfold.serve.protocols.responses import Responses
from tenfold.serve.refusal import Refusal, loggable, refusal_of, retry_after
from tenfold.serve.router.fleet import Fleet
from tenfold.serve.router.router import Router

log = logging.getLogger("tenfold.gateway")

CLIENT_GONE = 499
"""nginx's status for a client that left; only the ledger sees it."""
_LAST_WORDS_S = 2.0
"""At the end, how long answers that were cut off may take to say so."""


class Gateway:
    """Serve it with `server.serve`, or call `startup`, `handle` and `shutdown` yourself."""

    def __init__(
        self,
        config: GatewayConfig,
        backends: Sequence[Backend],
        ledger: Ledger,
        *,
        metering: Metering | None = None,
        mounts: Mapping[str, App] | None = None,
        parts: Parts | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`mounts` are ASGI applications for other path prefixes (`/console`); they check their own keys.
        A browser that asks for `/` is sent to the first of them. `parts`: tiers, limits and budgets, where
        they are shared with other workers; None: this process's own, as `config` says.

        Without `metering`, requests carry no energy and no cost, and say so (`energy_method` none).
        """
        self.config = config
        self.fleet = Fleet(backends, config.router)
        self.router = Router(self.fleet)
        self.parts = parts or open_parts(config)
        self.tiers = self.parts.tiers
        self.keys = KeyRing(config.require_keys, tenants=config.tenants)
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
                else lambda: EnergyBook(
                    metering, self.fleet.pids, config.source, part=1 / self.parts.workers
                )
            ),
            spool=None if config.spool is None else Spool(config.spool, config.spool_bytes),
            durable=config.durable_events,
        )
        self.state = "starting"
        """`starting`, `serving` or `draining`."""
        self._limits = self.parts.limits
        self._budgets = self.parts.budgets
        self._path = Path(
            self.tiers,
            self.parts.flights,
            self.router,
            self._limits,
            self._budgets,
            PriceBook(config.prices, config.default_price),
            self.recorder,
            config.edge_max_age_s,
            config.held_bytes,
        )
        self._reuse = CachePolicy(
            enabled=bool(config.tiers), cache_sampled=config.cache_sampled
        ).may_reuse
        self._memo = Memo(config.memo_entries, config.memo_bytes)
        self._works = Works()
        self._mounts = tuple((prefix, app, Mounted(app)) for prefix, app in (mounts or {}).items())
        self._now = now
        self._ids = Ids()
        self._loop: asyncio.AbstractEventLoop | None = None
        dialects: tuple[Dialect, ...] = (
            Chat(),
            Completion(),
            Embedding(),
            Responses(),
            Messages(),
            MessagesCount(),
        )
        self._posts: dict[str, Dialect] = {dialect.endpoint: dialect for dialect in dialects}
        self._pages = Pages(self, sorted(self._posts))
        self.batches = BatchService(
            self,
            None if config.state_dir is None else config.state_dir / "batch",
            config.batch,
            now,
        )
        self._siblings: Siblings | None = None
        if self.parts.run_folder is not None:
            self._siblings = Siblings(self.parts.run_folder, self._snapshot)

    async def startup(self) -> None:
        """Read the keys, begin starting the backends. Raises LedgerError when keys cannot be read."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self.recorder.start)
        await self.parts.start()
        if self._siblings is not None:
            await self._siblings.start()
        self.fleet.start()
        self.state = "serving"
        self.batches.start()

    def drain(self) -> None:
        """From now on new requests are refused and `/healthz` says 503; answers under way go on.

        A mounted application that has streams without an end is told to end them (`close()`).
        """
        self.state = "draining"
        self.batches.drain()
        for _, app, _ in self._mounts:
            close = getattr(app, "close", None)
            if close is not None:
                close()

    async def shutdown(self) -> None:
        """After the last answer: stop the backends, write every event."""
        self.drain()
        await self._works.end_all(_LAST_WORDS_S)
        await self.batches.stop()
        for _, _, mounted in self._mounts:
            await mounted.cancel()
        if self._siblings is not None:
            await self._siblings.stop()
        await self.parts.stop()
        await asyncio.to_thread(self.recorder.stop)
        await self.fleet.stop()

    def handle(self, request: Request) -> None:
        """Answer at once, or begin to. Never raises."""
        dialect = self._posts.get(request.path)
        if dialect is None:
            self._elsewhere(request)
            return
        exchange = Exchange(dialect.endpoint, self._now(), time.monotonic())
        exchange.id = self._ids.next(dialect.prefix)
        try:
            heads, travellers = heads_of(request.headers)
            grant = self._admitted(exchange, request, heads)
            cache_control = heads.get(b"cache-control")
            body = request.body
            known = self._memo.get(dialect.endpoint, shares(grant.tenant, travellers), body)
            if (
                known is not None
                and cache_control is None
                and (places := self.fleet.places.get(known.model)) is not None
                and places[0].card.digest == known.digest
            ):
                exchange.model = known.model
                grant.check_model(known.model)
                exchange.asked = self.tiers.names
                hit = self.tiers.get(known.key)
                if hit is not None:
                    exchange.tier, stored = hit
                    if self._path.replay(
                        request, exchange, known.key, stored, known.stream, known.include_usage
                    ):
                        self._end(exchange)
                        return
            work = self._begun(request, exchange, dialect, grant, heads, travellers, cache_control)
        except Exception as error:
            self._refuse(exchange, error, request, dialect)
            self._end(exchange)
        else:
            if work is None:
                self._end(exchange)

    def submit(self, request: Request, grant: Grant, priority: int) -> str:
        """Answer a request that comes from within, under a grant that somebody had earlier. Returns its id.

        Raises Refusal, and leaves no trace, as long as it may not begin: 429 at a rate limit, 503 while the
        gateway does not serve. Everything else is its reply.
        """
        if self.state != "serving":
            raise self._not_serving()
        self._limits.admit(grant)
        dialect = self._posts[request.path]
        exchange = Exchange(dialect.endpoint, self._now(), time.monotonic())
        exchange.id = self._ids.next(dialect.prefix)
        exchange.tenant, exchange.key_name = grant.tenant, grant.key_name
        work = None
        try:
            self._budgets.check(grant)
            work = self._begun(request, exchange, dialect, grant, {}, (), None, priority)
        except Exception as error:
            self._refuse(exchange, error, request, dialect)
        if work is None:
            self._end(exchange)
        return exchange.id

    def _not_serving(self) -> Refusal:
        return Refusal(
            503,
            f"The gateway is {self.state}.",
            code="gateway_" + self.state,
            headers=(retry_after(1),),
        )

    def _admitted(
        self, exchange: Exchange, request: Request, heads: Mapping[bytes, bytes]
    ) -> Grant:
        """Through the door: method, key, limits, budget."""
        if request.method != "POST":
            raise wrong_method(request, b"POST")
        grant = self.keys.admit(heads.get(b"authorization"), heads.get(b"x-api-key"))
        exchange.tenant, exchange.key_name = grant.tenant, grant.key_name
        if not grant.key_name:
            check_neighbour(heads.get(b"host", b""), heads.get(b"origin", b""))
        if self.state != "serving":
            raise self._not_serving()
        if heads.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal(
                415,
                "Compressed request bodies are not taken; send the JSON as it is.",
                code="unsupported_content_encoding",
                closes=True,
            )
        self._limits.admit(grant)
        self._budgets.check(grant)
        return grant

    def _begun(
        self,
        request: Request,
        exchange: Exchange,
        dialect: Dialect,
        grant: Grant,
        heads: Mapping[bytes, bytes],
        travellers: Headers,
        cache_control: bytes | None,
        priority: int = 0,
    ) -> Work | None:
        """Read the request and answer it from a tier (None), or begin the work. Raises Refusal."""
        ask = dialect.read(request.body)
        ask.priority = priority
        exchange.model = loggable(ask.model)
        grant.check_model(ask.model)
        places = self.fleet.places.get(ask.model)
        if places is None and ask.model not in self.config.router.fallbacks:
            raise self.fleet.missing(ask.model)
        if places is not None:
            # Who would answer; who did is known only afterwards.
            exchange.model_digest = places[0].card.digest
        wanted = wishes(cache_control)
        key: bytes | None = None
        card = places[0].card if places is not None else None
        may = self.tiers and card is not None and (wanted.look or wanted.store)
        if may and card is not None and self._reuse(dialect.endpoint, ask.plain):
            key = canonical_key(
                dialect.endpoint,
                grant.tenant,
                card.name,
                card.digest,
                ask.plain,
                self.config.policy_epoch,
                _apart(ask, travellers),
            )
            if not priority:  # what has time must not push out what is asked all day
                self._memo.put(
                    dialect.endpoint,
                    shares(grant.tenant, travellers),
                    request.body,
                    Known(key, ask.model, card.digest, ask.stream, ask.include_usage),
                )
            hit = None
            if wanted.look:
                exchange.asked = self.tiers.names
                hit = self.tiers.get(key)
            if hit is not None and wanted.suits(hit[1], exchange.at_s):
                exchange.tier, stored = hit
                if self._path.replay(request, exchange, key, stored, ask.stream, ask.include_usage):
                    return None
        if wanted.only_cached:
            raise Refusal(504, "There is no stored answer (only-if-cached).", code="not_cached")
        deadline = exchange.started + self._patience(heads)
        work = Work(deadline)
        attempt = attempt_at(exchange, dialect, ask, grant, travellers, deadline)
        walk = self._path.work(work, request, exchange, ask, grant, attempt, key, card, wanted)
        assert self._loop is not None
        work.task = self._loop.create_task(self._run(work, walk, request, exchange, dialect))
        self._works.add(work)
        return work

    async def _run(
        self, work: Work, walk: Any, request: Request, exchange: Exchange, dialect: Dialect
    ) -> None:
        """The task of one request; it ends with an answer, a metric and an event, whatever happens."""
        try:
            await walk
            if work.delivery is not None and work.delivery.gone:  # it went on for others
                exchange.status, exchange.error = CLIENT_GONE, "the client left"
        except asyncio.CancelledError:
            if work.ended_by == "client" or (work.delivery is not None and work.delivery.gone):
                exchange.status, exchange.error = CLIENT_GONE, "the client left"
            elif work.ended_by == "deadline":
                self._refuse(exchange, TimeoutError(), request, dialect, work)
            else:
                shutting = Refusal(503, "The gateway is shutting down.", code="gateway_draining")
                self._refuse(exchange, shutting, request, dialect, work)
        except Exception as error:
            self._refuse(exchange, error, request, dialect, work)
        finally:
            self._works.discard(work)
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        exchange.ended = time.monotonic()
        exchange.latency_s = exchange.ended - exchange.started
        self.recorder.end(exchange)

    def _refuse(
        self,
        exchange: Exchange,
        error: BaseException,
        request: Request,
        dialect: Dialect,
        work: Work | None = None,
    ) -> None:
        """Tell the client, as long as it can be told: by a status, or within a stream that has begun."""
        refusal = refusal_of(error, dialect.prompt)
        if refusal.status == 500:
            log.error("request %s failed", exchange.id, exc_info=error)
        exchange.status, exchange.error = refusal.status, loggable(refusal.message, 500)
        delivery = work.delivery if work is not None else None
        if delivery is not None and delivery.gone:
            return
        if delivery is not None and delivery.begun:
            if exchange.stream:
                delivery.broken(dialect.broken(refusal, exchange.id))
            return  # a whole answer is out: what failed came after it
        exchange.tier = "refused"
        if isinstance(error, Refusal):
            exchange.refused_for = refusal.code or "request"
        if refusal.closes:
            request.keep_alive = False
        request.reply(
            refusal.status,
            refusal_head(refusal, exchange.id),
            dialect.refused(refusal, exchange.id),
        )

    def _elsewhere(self, request: Request) -> None:
        """Mounted applications, and everything that is read."""
        path = request.path
        for prefix, _, mounted in self._mounts:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                mounted(request)
                return
        if self.batches.takes(path):
            self.batches.handle(request, self.page_exchange())
            return
        self._pages.handle(request)

    def reload(
        self, config: GatewayConfig, backends: Sequence[Backend], changed: Collection[str]
    ) -> None:
        """Take over other backends, routing, prices and tenants while requests go on. Backends named in
        `changed` are replaced once their heirs are ready. What else stands in `config` needs a restart."""
        self.fleet.reconfigure(backends, config.router, changed)
        self._path.prices = PriceBook(config.prices, config.default_price)
        self.keys.set_tenants(config.tenants)
        self._memo.clear()

    async def snapshots(self) -> list[Snapshot]:
        """What this worker counted, and what the others did."""
        return [self._snapshot()] if self._siblings is None else await self._siblings.all()

    def _snapshot(self) -> Snapshot:
        return snapshot(self.tiers, self.fleet, self.recorder, str(self.parts.worker))

    def page_exchange(self) -> Exchange:
        """For a request that is answered here but costs nobody anything."""
        exchange = Exchange("other", self._now(), time.monotonic())
        exchange.id = self._ids.next("req-")
        return exchange

    @property
    def front_page(self) -> str | None:
        """Where a browser is sent: the first mounted application."""
        return self._mounts[0][0].rstrip("/") + "/" if self._mounts else None

    def _patience(self, heads: Mapping[bytes, bytes]) -> float:
        """Seconds this request may take: the client's own bound (seconds, in `x-request-timeout`) where it
        is the tighter one. Raises Refusal (400) for one that is no such number."""
        told = heads.get(b"x-request-timeout")
        if told is None:
            return self.config.timeout_s
        try:
            seconds = float(told)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise Refusal(
                400,
                "The header `x-request-timeout` must be a number of seconds above 0.",
                code="bad_header",
                param="x-request-timeout",
            )
        return min(seconds, self.config.timeout_s)


def _apart(ask: Ask, travellers: Headers) -> list[str]:
    """What tells two requests apart beside their decoded fields."""
    further = long_numbers(ask.body)
    if ask.stream and ask.endpoint not in CONVERTIBLE:
        further.append("stream")  # each form is an answer of its own
    for name, value in telling(travellers):
        further.append(f"{name.decode()}: {value.decode('latin-1')}")
    return further


def refusal_head(refusal: Refusal, id: str) -> bytes:
    lines = (
        b"content-type: application/json\r\nx-request-id: %b\r\nx-tenfold-request-id: %b\r\n"
        % (
            id.encode(),
            id.encode(),
        )
    )
    lines += b"x-tenfold-tier: refused\r\n"
    return lines + b"".join(b"%b: %b\r\n" % header for header in refusal.headers)


def wrong_method(request: Request, allowed: bytes) -> Refusal:
    return Refusal(
        405,
        f"{loggable(request.method)} is not allowed on {loggable(request.path)}; "
        f"use {allowed.decode()}.",
        code="method_not_allowed",
        headers=((b"allow", allowed),),
    )
