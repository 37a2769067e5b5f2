"""The path of a request that has been let in: tiers, single flight, a backend, and settlement.

Cheapest first. A stored answer is written within the callback that brought the request. Otherwise a task
goes the rest of the way: the tier that other hosts share, a flight that is already under way for the same
question, and at last a backend, whose bytes go to the client as they come, to whoever follows, and into the
tiers when the answer proves to be complete. It knows no routes and no keys.
"""

from __future__ import annotations

import asyncio

import msgspec

from tenfold.serve.access.budgets.base import Reservation
from tenfold.serve.access.budgets.budgets import Budgets
from tenfold.serve.access.budgets.lease import Draw
from tenfold.serve.access.grant import Grant
from tenfold.serve.access.limits import Limits
from tenfold.serve.access.prices import PriceBook
from tenfold.serve.backends.base import ModelCard, Outcome, TokenUsage
from tenfold.serve.cache.flight import Flight, Vacant
from tenfold.serve.cache.flights import Flights
from tenfold.serve.cache.policy import Wishes
from tenfold.serve.cache.shared import SharedTier
from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import Tiers
from tenfold.serve.gateway.attempt import Attempt
from tenfold.serve.gateway.delivery import EVENTS_HEAD, JSON_HEAD, Delivery
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.parts import STREAMED, WHOLE
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.surrogates import Surrogates
from tenfold.serve.gateway.work import Work
from tenfold.serve.http.request import Request
from tenfold.serve.protocols.ask import Ask
from tenfold.serve.protocols.forms import CONVERTIBLE, events_from, whole_of
from tenfold.serve.protocols.watch import without_usage
from tenfold.serve.refusal import loggable, refusal_of
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.prefix import chain, conversation
from tenfold.serve.router.routed import Routed
from tenfold.serve.router.router import Router

STORABLE = frozenset(
    {"stop", "length", "end_turn", "max_tokens", "stop_sequence", "max_output_tokens"}
)
"""Ends after which an answer is all there is to say; each protocol has its own words."""
CHOOSING = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"})
"""Endpoints whose answers say why they ended."""
_LOOK_S = 0.1
"""How often a leader that waits for its client looks for followers."""
CLAIM_PATIENCE_S = 120.0
"""How long to wait for an answer that another host is making."""
MOST_KEPT_BYTES = 16 * 1024 * 1024
"""An answer longer than this is passed on and not stored: nothing of it is held here."""
PART_BYTES = 80
"""What Python and two lists add to each part that is held."""
DEFAULT_TOKENS = 4096
"""What an answer that nobody bounded is taken for, where work is weighed."""


class Path:
    """What a gateway does with a request once its key has been accepted."""

    def __init__(
        self,
        tiers: Tiers,
        flights: Flights,
        router: Router,
        limits: Limits,
        budgets: Budgets,
        prices: PriceBook,
        recorder: Recorder,
        edge_max_age_s: int = 0,
        most_held_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        """`most_held_bytes`: of streams under way, for those who may read along and for the tiers. Beyond it
        a stream that nobody follows is passed on and forgotten."""
        self._tiers = tiers
        self._flights = flights
        self._router = router
        self._limits = limits
        self._budgets = budgets
        self.prices = prices
        self._recorder = recorder
        self._held_bytes = 0
        self._most_held_bytes = most_held_bytes
        self._surrogates = Surrogates(edge_max_age_s) if edge_max_age_s else None

    def replay(
        self,
        request: Request,
        exchange: Exchange,
        key: bytes,
        stored: Stored,
        stream: bool,
        include_usage: bool,
    ) -> bool:
        """Answer with what a tier holds, at once. False when it has the other form only and that one cannot
        be made from it."""
        body = stored.events if stream else stored.whole
        if body is None:
            made = self._converted(exchange.endpoint, key, stored, stream)
            if made is None:
                return False
            stored = made
            body = stored.events if stream else stored.whole
            assert body is not None
        if stream and stored.usage_span is not None and not include_usage:
            start, end = stored.usage_span
            body = body[:start] + body[end:]
        exchange.prompt_tokens = stored.prompt_tokens
        exchange.completion_tokens = stored.completion_tokens
        exchange.model_digest = stored.model_digest
        exchange.backend = stored.backend
        exchange.cached_from = stored.response_id
        exchange.stream = stream
        exchange.status = 200
        head = (EVENTS_HEAD if stream else JSON_HEAD) + self.headers(exchange)
        if self._surrogates is not None:
            head += self._surrogates.lines(stored.tenant, stored.model_digest)
        request.reply(200, head, body)
        return True

    def headers(self, exchange: Exchange) -> bytes:
        id = exchange.id.encode()
        lines = b"x-request-id: %b\r\nx-tenfold-request-id: %b\r\nx-tenfold-tier: %b\r\n" % (
            id,
            id,
            exchange.tier.encode(),
        )
        if exchange.stood_in:
            lines += b"x-tenfold-model: %b\r\n" % loggable(exchange.stood_in).encode()
        book = self._recorder.book
        if book is not None and book.joules_per_request and not exchange.stream:
            joules = book.joules_per_request + exchange.compute_s * book.joules_per_compute_s
            lines += b"x-tenfold-joules-estimate: %.4g\r\n" % joules
        return lines

    async def work(
        self,
        work: Work,
        request: Request,
        exchange: Exchange,
        ask: Ask,
        grant: Grant,
        attempt: Attempt,
        key: bytes | None,
        card: ModelCard | None,
        wanted: Wishes,
    ) -> None:
        """The rest of the way. `card` is the model that `key` was made for: an answer of another is not
        kept. Raises Refusal and whatever a backend raises; once parts were sent, that is told within the
        stream."""
        exchange.stream = ask.stream
        delivery = Delivery(request, exchange, ask.include_usage)
        request.on_gone = work.client_left
        work.delivery = delivery
        vacant: Vacant | None = None
        while True:
            if key is None:
                await self._generate(delivery, exchange, ask, grant, attempt, work.deadline)
                return
            keep = (key, card) if wanted.store and card is not None else None
            if wanted.look and (self._tiers.remote is not None or self._tiers.lookups):
                found = await self._tiers.get_remote(key)
                if found is not None and wanted.suits(found[1], exchange.at_s):
                    exchange.tier = found[0]
                    if self.replay(request, exchange, key, found[1], ask.stream, ask.include_usage):
                        return
            if not wanted.look or wanted.max_age_s is not None:
                await self._generate(
                    delivery,
                    exchange,
                    ask,
                    grant,
                    attempt,
                    work.deadline,
                    None,
                    keep,
                )
                return
            # It may have landed since the first look, which then found neither answer nor flight.
            hit = self._tiers.get(key)
            if hit is not None:
                exchange.tier = hit[0]
                if self.replay(request, exchange, key, hit[1], ask.stream, ask.include_usage):
                    return
            flight, leads = self._flights.join(key + (STREAMED if ask.stream else WHOLE), vacant)
            if leads:
                work.flight = flight
                with flight:
                    if not await self._elsewhere(request, exchange, ask, key, flight):
                        await self._generate(
                            delivery,
                            exchange,
                            ask,
                            grant,
                            attempt,
                            work.deadline,
                            flight,
                            keep,
                        )
                return
            try:
                await self._follow(flight, request, delivery, exchange, ask, key)
            except Vacant as left:
                vacant = left  # the leader is lost and nothing was sent yet: the next one leads
            else:
                return

    async def _elsewhere(
        self, request: Request, exchange: Exchange, ask: Ask, key: bytes, flight: Flight
    ) -> bool:
        """Whether another host was making this very answer, and has."""
        shared = self._tiers.remote
        if not isinstance(shared, SharedTier):
            return False
        found = await shared.claim(key, CLAIM_PATIENCE_S)
        if isinstance(found, Stored):
            exchange.tier = shared.name
            if self.replay(request, exchange, key, found, ask.stream, ask.include_usage):
                flight.end(None, found)
                return True
        elif found is not None:
            flight.on_landing(found.release)
        return False

    async def _generate(
        self,
        delivery: Delivery,
        exchange: Exchange,
        ask: Ask,
        grant: Grant,
        attempt: Attempt,
        deadline: float,
        flight: Flight | None = None,
        keep: tuple[bytes, ModelCard] | None = None,
    ) -> None:
        """Have a backend answer. `flight`: who reads along; `keep`: under which key to store it, and the
        model whose answer belongs there."""
        reservation: Reservation | Draw | None = None
        answer: Routed | None = None
        parts: list[bytes] = []
        num_parts = num_bytes = 0
        try:
            if grant.accounts:
                usd = self.prices.estimate(
                    ask.model, len(ask.body), ask.max_tokens, ask.num_choices
                )
                reservation = await self._budgets.reserve(grant, usd, exchange.id)
            exchange.tier = "model"
            self._recorder.begin(exchange)
            answer = await self._router.open(
                RouteAsk(
                    ask.model,
                    tenant=grant.tenant,
                    priority=ask.priority,
                    tokens=len(ask.body) // 4
                    + ask.num_choices * (ask.max_tokens or DEFAULT_TOKENS),
                    slots=ask.num_choices,
                    prefix=(
                        chain(ask.model, conversation(ask.plain))
                        if self._router.reads_prefix
                        else ()
                    ),
                    deadline=deadline,
                    stream=ask.stream,
                    side_effects=ask.side_effects,
                ),
                attempt,
            )
            exchange.backend, exchange.model_digest = answer.member.name, answer.card.digest
            outcome: Outcome = answer.outcome
            if answer.card.name != ask.model:
                exchange.stood_in = answer.card.name
            if ask.stream:
                delivery.head = self.headers(exchange)

                def take(part: bytes) -> bool:
                    nonlocal keep, num_parts, num_bytes
                    num_parts += 1
                    num_bytes += len(part)
                    if keep is not None:
                        parts.append(part)
                        self._held_bytes += len(part) + PART_BYTES
                        much = (
                            num_bytes > MOST_KEPT_BYTES or self._held_bytes > self._most_held_bytes
                        )
                        if much and (flight is None or flight.let_go()):
                            keep = None
                            self._held_bytes -= num_bytes + num_parts * PART_BYTES
                            parts.clear()
                    if flight is not None:
                        flight.publish(part)
                    delivery.part(part, outcome.usage_event)
                    # Those who read along wait for no one.
                    return delivery.full and (flight is None or not flight.num_followers)

                await answer.pour(take, lambda: _room(delivery, flight))
                _note(exchange, outcome)
            else:
                async for part in answer:
                    parts.append(part)
                    num_parts += 1
                    num_bytes += len(part)
                    _note(exchange, outcome)
                    delivery.head = self.headers(exchange)
                    if (
                        self._surrogates is not None
                        and keep is not None
                        and _storable(ask, outcome)
                    ):
                        delivery.head += self._surrogates.lines(grant.tenant, answer.card.digest)
                    delivery.whole(part)
                    if flight is not None:
                        flight.publish(part)
            stored = None
            if keep is not None and _same(answer.card, keep[1]) and _storable(ask, outcome):
                stored = _stored(exchange, grant, outcome, b"".join(parts), ask.stream)
                self._tiers.put(keep[0], stored)
            if flight is not None:
                flight.end(outcome, stored)
            if ask.stream:
                delivery.end()
        except BaseException as error:
            if flight is not None:
                flight.fail(error, shared=_own_fault(error))
            raise
        finally:
            if answer is not None:
                answer.close()
                _note(exchange, answer.outcome)  # also what an answer said that broke off
                exchange.hedges, exchange.retries = int(answer.hedged), answer.attempts - 1
                exchange.upstream_s = answer.first_part_s
            if keep is not None and ask.stream:
                self._held_bytes -= num_bytes + num_parts * PART_BYTES
            came = num_parts if ask.stream else -(-num_bytes // 4)
            self._settle(exchange, ask, grant, reservation, answer, came)

    async def _follow(
        self,
        flight: Flight,
        request: Request,
        delivery: Delivery,
        exchange: Exchange,
        ask: Ask,
        key: bytes,
    ) -> None:
        """Read along with an answer that somebody else is getting. Raises Vacant when its leader is lost
        before anything was sent."""
        follower = flight.follow()
        try:
            await follower.begun()
            exchange.tier, exchange.follower = "flight", True
            stored = flight.stored
            if stored is not None and self.replay(
                request, exchange, key, stored, ask.stream, ask.include_usage
            ):
                return
            delivery.head = self.headers(exchange)
            async for part in follower:
                if ask.stream:
                    delivery.part(part if ask.include_usage else without_usage(part), b"")
                    if delivery.full:
                        await delivery.room()
                else:
                    delivery.whole(part)
            if ask.stream:
                delivery.end()
        except Vacant:
            exchange.follower = False
            raise
        finally:
            follower.close()
        if isinstance(flight.outcome, Outcome):
            exchange.cached_from = loggable(flight.outcome.response_id)
            _note(exchange, flight.outcome)
            exchange.compute_s = 0.0  # it is the leader's

    def _settle(
        self,
        exchange: Exchange,
        ask: Ask,
        grant: Grant,
        reservation: Reservation | Draw | None,
        answer: Routed | None,
        came: int,
    ) -> None:
        """Charge what it came to. An answer that broke off, or whose server told no usage, is charged by
        what came of it, about `came` tokens; one that never began costs nothing."""
        if answer is None:
            self._budgets.settle(reservation, 0.0)
            return
        if came and not (exchange.prompt_tokens and answer.outcome.complete):
            exchange.prompt_tokens = exchange.prompt_tokens or max(1, len(ask.body) // 4)
            exchange.completion_tokens = max(exchange.completion_tokens, came)
        usage = TokenUsage(
            exchange.prompt_tokens, exchange.completion_tokens, exchange.cached_tokens
        )
        if usage.total_tokens:
            exchange.price_usd = self.prices.cost(ask.model, usage)
            self._limits.spent(grant, usage.total_tokens)
        self._budgets.settle(reservation, exchange.price_usd)

    def _converted(self, endpoint: str, key: bytes, stored: Stored, stream: bool) -> Stored | None:
        """The answer with its other form added, and kept so."""
        if endpoint not in CONVERTIBLE:
            return None
        if stream:
            assert stored.whole is not None
            made = events_from(stored.whole)
            if made is None:
                return None
            events, usage_event = made
            both = msgspec.structs.replace(
                stored, events=events, usage_span=_span(events, usage_event)
            )
        else:
            assert stored.events is not None
            whole = whole_of(stored.events)
            if whole is None:
                return None
            both = msgspec.structs.replace(stored, whole=whole)
        self._tiers.put(key, both)
        return both


async def _room(delivery: Delivery, flight: Flight | None) -> None:
    """Wait for a slow client, but no longer than until somebody reads along."""
    if flight is None:
        await delivery.room()
        return
    waiting = asyncio.ensure_future(delivery.room())
    try:
        while not waiting.done() and not flight.num_followers:
            await asyncio.wait((waiting,), timeout=_LOOK_S)
    finally:
        waiting.cancel()


def _note(exchange: Exchange, outcome: Outcome) -> None:
    """What the answer said about itself."""
    usage = outcome.usage
    if usage is not None:
        exchange.prompt_tokens = usage.prompt_tokens
        exchange.completion_tokens = usage.completion_tokens
        exchange.cached_tokens = usage.cached_tokens
    exchange.compute_s = outcome.compute_s
    if outcome.response_id and outcome.response_id != exchange.id:
        exchange.response_id = loggable(outcome.response_id)


def _storable(ask: Ask, outcome: Outcome) -> bool:
    """One choice, whole, that ended by itself, wants no tool called, and is not a refusal."""
    reasons = outcome.finish_reasons
    if not outcome.complete or outcome.side_effects or outcome.refused:
        return False
    if not reasons:
        return ask.endpoint not in CHOOSING
    return len(reasons) == 1 and reasons[0] in STORABLE


def _same(card: ModelCard, other: ModelCard) -> bool:
    """Whether answers of one may be given for the other's; not so after a fallback."""
    return card.name == other.name and card.digest == other.digest


def _stored(
    exchange: Exchange, grant: Grant, outcome: Outcome, body: bytes, stream: bool
) -> Stored:
    return Stored(
        response_id=loggable(outcome.response_id),
        model_digest=exchange.model_digest,
        backend=exchange.backend,
        prompt_tokens=exchange.prompt_tokens,
        completion_tokens=exchange.completion_tokens,
        cached_tokens=exchange.cached_tokens,
        whole=None if stream else body,
        events=body if stream else None,
        usage_span=_span(body, outcome.usage_event) if stream else None,
        tenant=grant.tenant,
        created_at_s=exchange.at_s,
    )


def _span(events: bytes, usage_event: bytes) -> tuple[int, int] | None:
    start = events.rfind(usage_event) if usage_event else -1
    return None if start < 0 else (start, start + len(usage_event))


def _own_fault(error: BaseException) -> bool:
    """Whether whoever asks the same gets the same: the request is at fault, not the moment."""
    status = refusal_of(error).status if isinstance(error, Exception) else 0
    return 400 <= status < 500 and status not in (401, 403, 408, 409, 429, 499)
