"""An answer that a member has begun, and the ticket that counts it while it lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from tenfold.errors import BackendError
from tenfold.serve.backends.base import Answer, ModelCard, Outcome, Room, Take, pour
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.breaker import CLOSED
from tenfold.serve.router.member import Member, Place


class Waiting(Protocol):
    """Who is told that a ticket was given back, when anybody waits."""

    num_waiting: int

    def on_room(self) -> None: ...


class Ticket:
    """The room one attempt takes at a member. `leave` gives it back, once."""

    __slots__ = ("_ask", "_room", "left", "place", "probe", "started")

    def __init__(self, place: Place, ask: RouteAsk, now: float, room: Waiting) -> None:
        member = place.member
        self.place = place
        self.started = now
        breaker = member.breaker
        self.probe = 0 if breaker.state is CLOSED else breaker.enter()
        self.left = False
        self._ask = ask
        self._room = room
        member.outstanding += ask.slots
        member.outstanding_tokens += ask.tokens
        member.num_requests += 1

    def leave(self) -> None:
        if self.left:
            return
        self.left = True
        member = self.place.member
        ask = self._ask
        member.outstanding -= ask.slots
        member.outstanding_tokens -= ask.tokens
        room = self._room
        if room.num_waiting:
            room.on_room()


class Routed:
    """An answer whose first part is there. Iterate it to its end or close it: until then it takes room.

    It is an Answer itself; `member` and `card` say who gives it (`card.name` differs from what was asked
    for after a fallback).
    """

    __slots__ = (
        "_answer",
        "_first",
        "_now",
        "_parts",
        "_ticket",
        "attempts",
        "first_part_s",
        "hedged",
    )

    def __init__(
        self,
        ticket: Ticket,
        answer: Answer,
        parts: AsyncIterator[bytes],
        first: bytes,
        first_part_s: float,
        now: Callable[[], float],
    ) -> None:
        self._ticket = ticket
        self._answer = answer
        self._parts = parts
        self._first: bytes | None = first
        self._now = now
        self.first_part_s = first_part_s
        """From the start of the attempt that won."""
        self.attempts = 1
        """Made for this request, this one included; hedges not counted."""
        self.hedged = False
        """A second attempt ran beside another."""

    @property
    def member(self) -> Member:
        return self._ticket.place.member

    @property
    def card(self) -> ModelCard:
        return self._ticket.place.card

    @property
    def stream(self) -> bool:
        return self._answer.stream

    @property
    def outcome(self) -> Outcome:
        return self._answer.outcome

    def __aiter__(self) -> Routed:
        return self

    async def __anext__(self) -> bytes:
        first = self._first
        if first is not None:
            self._first = None
            return first
        try:
            return await self._parts.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise
        except BackendError as error:
            self._broke_off(error)
            raise
        except BaseException:
            self._ticket.leave()
            raise

    async def pour(self, take: Take, room: Room) -> None:
        """Every part to `take` as it comes, and `room` when it says so (serve.backends.base.pour)."""
        first, self._first = self._first, None
        try:
            if first is not None and take(first):
                await room()
            # What was begun for the first part goes on: iterating anew would begin again.
            await pour(self._answer, self._parts, take, room)
        except BackendError as error:
            self._broke_off(error)
            raise
        except BaseException:
            self._ticket.leave()
            raise
        self._ended()

    def close(self) -> None:
        """Idempotent. Early: cancels the work upstream."""
        try:
            self._answer.close()
        finally:
            self._ticket.leave()

    def _ended(self) -> None:
        ticket = self._ticket
        member = ticket.place.member
        outcome = self._answer.outcome
        if outcome is not None and not outcome.complete:
            self._broke_off(BackendError("an answer broke off", where=member.name))
            return
        took_s = self._now() - ticket.started
        mean_s = member.service_s
        member.service_s = mean_s + 0.1 * (took_s - mean_s) if mean_s else took_s
        ticket.leave()

    def _broke_off(self, error: BackendError) -> None:
        ticket = self._ticket
        if not ticket.left:
            member = ticket.place.member
            member.num_failures += 1
            member.error = error
            member.breaker.broke_off(self._now())
            ticket.leave()
