"""Which member answers a request, and what happens when it does not.

`open` tries members in the policy's order until one has begun to answer. In the simplest case, one member
with room, it costs one call and no task, no timer. It knows nothing of what an attempt sends.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator

from tenfold.errors import BackendError
from tenfold.serve.backends.base import ModelCard
from tenfold.serve.refusal import Refusal, retry_after
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.breaker import CLOSED
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.fleet import Fleet
from tenfold.serve.router.hedge import Hedging, ended, race
from tenfold.serve.router.member import Member
from tenfold.serve.router.policies.choice import open_policy, same_policy
from tenfold.serve.router.policies.policy import Policy
from tenfold.serve.router.policies.prefix import Prefix
from tenfold.serve.router.retry import RetryBudget, Verdict, judge
from tenfold.serve.router.routed import Answer, Routed, Ticket
from tenfold.serve.router.waiting import Waiter, WaitingRoom

Attempt = Callable[[Member, ModelCard], Awaitable[Answer]]
"""Sends the request to a member, for the model of the card. Raises when nothing has begun; a cancelled
attempt leaves nothing running."""

_FIRST_GUESS_S = 1.0
"""How long an answer takes, before one was seen."""


class Router:
    """For one event loop."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        policy: Policy | None = None,
        now: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`policy` None: the one the fleet's settings name."""
        self.fleet = fleet
        self._now = now
        self._draw = draw
        config = self._config = fleet.config
        self.policy = policy or open_policy(config)
        self.waiting = WaitingRoom(config.max_waiting, self._serve_waiting)
        self.budget = RetryBudget(config.retry_share, config.retry_floor_per_s)
        self.hedging = _hedging(config)
        fleet.on_change = self._changed
        fleet.on_gone = self._gone

    @property
    def reads_prefix(self) -> bool:
        """Whether the policy wants `RouteAsk.prefix`; without that nobody need hash a prompt."""
        return isinstance(self.policy, Prefix)

    async def open(self, ask: RouteAsk, attempt: Attempt) -> Routed:
        """An answer whose first part is there.

        Raises what the last member said; Refusal 404 or 503 when nobody has the model, 429 with
        Retry-After when there is no room and none comes in time; TimeoutError when the deadline has
        passed already. An attempt that has begun is not ended by the deadline: the caller does that,
        by cancelling, for the whole answer.
        """
        now = self._now()
        if ask.deadline is not None and now >= ask.deadline:
            raise TimeoutError
        self.budget.request(now)
        ticket = None
        if not self.waiting.num_waiting or not self.waiting.length(ask.model):
            ticket = self._claim(ask, ask.model, now)
        if ticket is None:  # not there, no room, or others were here before
            ticket = await self._room(ask, now)
        try:
            if self.hedging is None:
                return await self._try(ticket, attempt)
            return await self._hedged(self.hedging, ask, ticket, attempt)
        except Exception as error:
            return await self._again(ask, attempt, ticket.place.member, error)

    def _claim(
        self, ask: RouteAsk, model: str, now: float, but: tuple[Member, ...] = ()
    ) -> Ticket | None:
        """Room at the best member that has any; None when there is none."""
        places = self.fleet.places.get(model)
        if places is None:
            return None
        slots = ask.slots
        if len(places) == 1:
            member = places[0].member
            if but or not member.has_room(slots):
                return None
            if member.breaker.state is not CLOSED and not member.breaker.allows(now):
                return None
            return Ticket(places[0], ask, now, self.waiting)
        free = [
            place
            for place in places
            if place.member.has_room(slots)
            and place.member.breaker.allows(now)
            and place.member not in but
        ]
        if not free:
            return None
        rested = [place for place in free if place.member.resting_until <= now]
        return Ticket(self.policy.choose(ask, rested or free, now), ask, now, self.waiting)

    async def _hedged(
        self, hedging: Hedging, ask: RouteAsk, ticket: Ticket, attempt: Attempt
    ) -> Routed:
        """As `_try`, with a second attempt elsewhere when the first is silent for too long."""
        now = self._now()
        hedging.budget.request(now)
        model = ticket.place.card.name
        kind = (model, ask.stream)
        delay_s = hedging.delay_s(kind)
        if (
            delay_s is None
            or (ask.side_effects and not self._config.hedge_side_effects)
            or len(self.fleet.places.get(model, ())) < 2
        ):
            routed = await self._try(ticket, attempt)
            hedging.observe(kind, routed.first_part_s)
            return routed
        first = asyncio.create_task(self._try(ticket, attempt))
        try:
            await asyncio.wait([first], timeout=delay_s)
        except asyncio.CancelledError:
            await ended(first)
            raise
        other = None
        if not first.done():
            other = self._claim(ask, model, self._now(), (ticket.place.member,))
            if other is not None and not hedging.budget.withdraw(self._now()):
                self._unused(other)
                other = None
        if other is None:
            try:
                await asyncio.wait([first])
            except asyncio.CancelledError:
                await ended(first)
                raise
            routed = first.result()
        else:
            member = other.place.member
            member.num_hedges += 1
            routed = await race(first, asyncio.create_task(self._try(other, attempt)))
            routed.hedged = True
            if routed.member is member:
                member.num_hedges_won += 1
                # The one that lost was silent this long at least; its figures must show it.
                now = self._now()
                silent_s = now - ticket.started
                if silent_s > ticket.place.member.latency_s:
                    ticket.place.member.answered(silent_s, now)
        hedging.observe(kind, routed.first_part_s)
        return routed

    async def _try(self, ticket: Ticket, attempt: Attempt) -> Routed:
        place = ticket.place
        member = place.member
        answer: Answer | None = None
        timeout_s = self._config.first_part_timeout_s
        try:
            if timeout_s is None:
                answer = await attempt(member, place.card)
                parts = answer.__aiter__()
                first = await parts.__anext__()
            else:
                async with asyncio.timeout(timeout_s):
                    answer = await attempt(member, place.card)
                    parts = answer.__aiter__()
                    first = await parts.__anext__()
        except StopAsyncIteration:
            error = BackendError("the answer ended before its first part", where=member.name)
            self._failed(ticket, answer, error)
            raise error from None
        except BaseException as error:
            self._failed(ticket, answer, error)
            raise
        now = self._now()
        took_s = now - ticket.started
        member.answered(took_s, now)
        member.breaker.succeeded(ticket.probe, now)
        return Routed(ticket, answer, parts, first, took_s, self._now)

    def _failed(self, ticket: Ticket, answer: Answer | None, error: BaseException) -> None:
        """An attempt ended before its first part: note it and give its room back."""
        member = ticket.place.member
        try:
            if answer is not None:
                answer.close()
        finally:
            now = self._now()
            verdict = judge(error, False)
            if verdict.fault and isinstance(error, Exception):
                member.num_failures += 1
                member.error = error
                member.breaker.failed(ticket.probe, now)
            elif isinstance(error, Exception) and verdict.cause != "busy":
                member.breaker.succeeded(ticket.probe, now)  # it answered; the request was at fault
            else:
                member.breaker.left(ticket.probe)
            if verdict.rest_s is not None:
                member.resting_until = max(member.resting_until, now + verdict.rest_s)
            ticket.leave()

    async def _again(
        self, ask: RouteAsk, attempt: Attempt, member: Member, error: Exception
    ) -> Routed:
        """Other members, then other models. Raises the last error when there is nothing left to try."""
        config = self._config
        models = iter(config.fallbacks.get(ask.model, ()))
        model = ask.model
        attempts = tried_here = 1
        tried: tuple[Member, ...] = (member,)
        while True:
            verdict = judge(error, ask.side_effects)
            ticket: Ticket | None = None
            if verdict.retry and tried_here < config.max_attempts:
                ticket = await self._retry(ask, model, tried, verdict, tried_here)
            if ticket is None and verdict.cause in config.fallback_on:
                ticket = self._fallback(ask, models)
                if ticket is not None:
                    model, tried, tried_here = ticket.place.card.name, (), 0
            if ticket is None:
                raise error
            attempts += 1
            tried_here += 1
            tried = (*tried, ticket.place.member)
            ticket.place.member.num_retries += 1
            try:
                routed = await self._try(ticket, attempt)
            except Exception as next_error:
                error = next_error
            else:
                routed.attempts = attempts
                return routed

    async def _retry(
        self,
        ask: RouteAsk,
        model: str,
        tried: tuple[Member, ...],
        verdict: Verdict,
        tried_here: int,
    ) -> Ticket | None:
        """Room for another attempt with the same model: elsewhere at once, or here after a pause."""
        now = self._now()
        if ask.deadline is not None and now >= ask.deadline:
            return None
        ticket = self._claim(ask, model, now, tried)
        if ticket is None:
            pause_s = verdict.rest_s
            if pause_s is None:
                # Full jitter: those who failed together must not come back together.
                pause_s = self._config.backoff_s * 2 ** (tried_here - 1) * (0.5 + self._draw())
            if pause_s > self._config.max_retry_wait_s:
                return None
            if ask.deadline is not None and now + pause_s >= ask.deadline:
                return None
            if not self.budget.withdraw(now):
                return None
            await asyncio.sleep(pause_s)
            return self._claim(ask, model, self._now())
        if not self.budget.withdraw(now):
            self._unused(ticket)
            return None
        return ticket

    def _fallback(self, ask: RouteAsk, models: Iterator[str]) -> Ticket | None:
        """Room at the next model that stands in. Fallbacks are outside the budget: they are other
        members' capacity, and an operator asked for them."""
        now = self._now()
        if ask.deadline is not None and now >= ask.deadline:
            return None
        for model in models:
            ticket = self._claim(ask, model, now)
            if ticket is not None:
                return ticket
        return None

    async def _room(self, ask: RouteAsk, now: float) -> Ticket:
        """Room at a model that stands in, or here after a wait, first come first served.

        Raises Refusal: 404, 503, 429.
        """
        model = ask.model
        places = self.fleet.places.get(model, ())
        fallbacks = self._config.fallbacks.get(model, ())
        ejected = all(place.member.breaker.state != CLOSED for place in places)  # or none at all
        if fallbacks and ("error" if ejected else "busy") in self._config.fallback_on:
            ticket = self._fallback(ask, iter(fallbacks))
            if ticket is not None:
                return ticket
        if not places:
            raise self.fleet.missing(model)
        if ejected:
            soonest = min(place.member.breaker.until for place in places)
            raise Refusal(
                503,
                f"Every backend of `{model}` is failing and left alone for now; try again.",
                code="backend_unavailable",
                headers=(retry_after(soonest - now),),
            )
        wait_s = self._config.max_wait_s
        if ask.deadline is not None:
            wait_s = min(wait_s, ask.deadline - now)
        waiting = self.waiting
        if wait_s <= 0 or waiting.num_waiting >= waiting.max_waiting:
            raise self._full(model)
        loop = asyncio.get_running_loop()
        waiter = Waiter(ask, model, loop.create_future())
        waiting.join(waiter)
        try:
            async with asyncio.timeout(wait_s):
                return await waiter.got
        except TimeoutError:
            self._give_up(waiter)
            raise self._full(model) from None
        except BaseException:
            self._give_up(waiter)
            raise

    def _give_up(self, waiter: Waiter) -> None:
        """Leave the line; room that was handed over in the same moment goes to the next."""
        self.waiting.leave(waiter)
        got = waiter.got
        if got.done() and not got.cancelled() and got.exception() is None:
            self._unused(got.result())

    def _unused(self, ticket: Ticket) -> None:
        member = ticket.place.member
        member.num_requests -= 1
        member.breaker.left(ticket.probe)
        ticket.leave()

    def _full(self, model: str) -> Refusal:
        """Little's law: those before you, each as long as the mean, over as many as go at once."""
        members = [place.member for place in self.fleet.places.get(model, ())]
        known = [member.service_s for member in members if member.service_s]
        mean_s = sum(known) / len(known) if known else _FIRST_GUESS_S
        at_once = sum(member.max_outstanding for member in members) or 1
        length = self.waiting.length(model) + 1
        return Refusal(
            429,
            f"Every backend of `{model}` is at its limit and {length - 1} requests wait; try again.",
            code="queue_full",
            headers=(retry_after(length * mean_s / at_once),),
        )

    def _serve_waiting(self) -> None:
        now = self._now()
        for model in self.waiting.models():
            if model in self.fleet.places:
                self.waiting.serve(model, lambda ask, model: self._claim(ask, model, now))

    def _changed(self) -> None:
        """Members came, went or got other settings."""
        if self.fleet.config is not self._config:
            self._configure(self.fleet.config)
        if self.hedging is not None:
            self.hedging.keep(self.fleet.places)
        for model in self.waiting.models():
            if model not in self.fleet.places:
                self.waiting.fail(model, self.fleet.missing(model))
        if self.waiting.num_waiting:
            self._serve_waiting()

    def _configure(self, config: RouterConfig) -> None:
        """Take over other settings; what is still true of the past is kept."""
        old, self._config = self._config, config
        if not same_policy(old, config):
            self.policy = open_policy(config)
        if (old.retry_share, old.retry_floor_per_s) != (
            config.retry_share,
            config.retry_floor_per_s,
        ):
            self.budget = RetryBudget(config.retry_share, config.retry_floor_per_s)
        if (old.hedge_share, old.hedge_quantile) != (config.hedge_share, config.hedge_quantile):
            self.hedging = _hedging(config)
        self.waiting.max_waiting = config.max_waiting

    def _gone(self, name: str) -> None:
        self.policy.forget(name)


def _hedging(config: RouterConfig) -> Hedging | None:
    return Hedging(config.hedge_share, config.hedge_quantile) if config.hedge_share else None
