"""Which member answers a request, and what happens when it does not.

`open` tries members in the policy's order until one has begun to answer. In the simplest case, one member
with room, it costs one call and no task, no timer. It knows nothing of what an attempt sends.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from tenfold.errors import BackendError
from tenfold.serve.backends.base import ModelCard
from tenfold.serve.refusal import Refusal, retry_after
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.breaker import CLOSED
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.fleet import Fleet
from tenfold.serve.router.member import Member, Place
from tenfold.serve.router.policies.choice import open_policy
from tenfold.serve.router.policies.policy import Policy
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
        self._policy_given = policy
        self._now = now
        self._draw = draw
        self._configure(fleet.config)
        fleet.on_change = self._changed
        fleet.on_gone = self._gone

    def _configure(self, config: RouterConfig) -> None:
        self._config = config
        self.policy = self._policy_given or open_policy(config)
        self.budget = RetryBudget(config.retry_share, config.retry_floor_per_s)
        self.waiting = WaitingRoom(config.max_waiting)

    async def open(self, ask: RouteAsk, attempt: Attempt) -> Routed:
        """An answer whose first part is there.

        Raises what the last member said; Refusal 404 or 503 when nobody has the model, 429 with
        Retry-After when there is no room and none comes in time.
        """
        now = self._now()
        self.budget.request(now)
        ticket = None
        if not self.waiting.num_waiting or not self.waiting.length(ask.model):
            ticket = self._claim(ask, ask.model, now)
        if ticket is None:  # no room, or others were here before
            ticket = await self._room(ask, now)
        try:
            return await self._try(ticket, attempt)
        except Exception as error:
            return await self._again(ask, attempt, ticket.place, error)

    def _claim(
        self, ask: RouteAsk, model: str, now: float, but: tuple[Place, ...] = ()
    ) -> Ticket | None:
        """Room at the best member that has any; None when there is none. Raises Refusal (404, 503)."""
        places = self.fleet.places.get(model)
        if places is None:
            raise self.fleet.missing(model)
        slots = ask.slots
        if len(places) == 1:
            member = places[0].member
            if but or not member.has_room(slots) or not member.breaker.allows(now):
                return None
            return Ticket(places[0], ask, now, self._left)
        free = [
            place
            for place in places
            if place.member.has_room(slots)
            and place.member.breaker.allows(now)
            and place not in but
        ]
        if len(free) > 1:
            rested = [place for place in free if place.member.resting_until <= now]
            place = self.policy.choose(ask, rested or free, now)
        elif free:
            place = free[0]
        else:
            return None
        return Ticket(place, ask, now, self._left)

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
        self, ask: RouteAsk, attempt: Attempt, place: Place, error: Exception
    ) -> Routed:
        """Other members, then other models. Raises the last error when there is nothing left to try."""
        config = self._config
        models = iter(config.fallbacks.get(ask.model, ()))
        model = ask.model
        attempts = tried_here = 1
        tried: tuple[Place, ...] = (place,)
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
            tried = (*tried, ticket.place)
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
        tried: tuple[Place, ...],
        verdict: Verdict,
        tried_here: int,
    ) -> Ticket | None:
        """Room for another attempt with the same model: elsewhere at once, or here after a pause."""
        now = self._now()
        if ask.deadline is not None and now >= ask.deadline:
            return None
        if model not in self.fleet.places:
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
            if model not in self.fleet.places:
                return None
            return self._claim(ask, model, self._now())
        if not self.budget.withdraw(now):
            self._unused(ticket)
            return None
        return ticket

    def _fallback(self, ask: RouteAsk, models: object) -> Ticket | None:
        """Room at the next model that stands in. Fallbacks are outside the budget: they are other
        members' capacity, and an operator asked for them."""
        now = self._now()
        if ask.deadline is not None and now >= ask.deadline:
            return None
        for model in models:  # type: ignore[attr-defined]
            if model in self.fleet.places:
                ticket = self._claim(ask, model, now)
                if ticket is not None:
                    return ticket
        return None

    async def _room(self, ask: RouteAsk, now: float) -> Ticket:
        """Wait for room, first come first served. Raises Refusal (429)."""
        model = ask.model
        places = self.fleet.places[model]
        fallbacks = iter(self._config.fallbacks.get(model, ()))
        ejected = all(place.member.breaker.state != CLOSED for place in places)
        if ejected or "busy" in self._config.fallback_on:
            ticket = self._fallback(ask, fallbacks)
            if ticket is not None:
                return ticket
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

    def _left(self, member: Member) -> None:
        """A ticket was given back."""
        if self.waiting.num_waiting:
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        now = self._now()
        for model in self.waiting.models():
            if model in self.fleet.places:
                self.waiting.serve(model, lambda ask, model: self._claim(ask, model, now))

    def _changed(self) -> None:
        """Members came, went or got other settings."""
        if self.fleet.config is not self._config:
            waiting = self.waiting
            self._configure(self.fleet.config)
            waiting.max_waiting = self._config.max_waiting
            self.waiting = waiting
        for model in self.waiting.models():
            if model not in self.fleet.places:
                self.waiting.fail(model, self.fleet.missing(model))
        if self.waiting.num_waiting:
            self._serve_waiting()

    def _gone(self, name: str) -> None:
        self.policy.forget(name)
