"""An answer that a member has begun, and the ticket that counts it while it lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from tenfold.errors import BackendError
from tenfold.serve.backends.base import ModelCard
from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Member, Place


class Answer(Protocol):
    """What the router needs of serve.backends' answers."""

    @property
    def stream(self) -> bool: ...
    @property
    def outcome(self) -> Any: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def close(self) -> None: ...


class Ticket:
    """The room one attempt takes at a member. `leave` gives it back, once."""

    __slots__ = ("_on_left", "place", "probe", "slots", "started", "tokens")

    def __init__(
        self, place: Place, ask: RouteAsk, now: float, on_left: Callable[[Member], None]
    ) -> None:
        member = place.member
        self.place = place
        self.slots = ask.slots
        self.tokens = ask.tokens
        self.started = now
        self.probe = member.breaker.enter()
        self._on_left: Callable[[Member], None] | None = on_left
        member.outstanding += self.slots
        member.outstanding_tokens += self.tokens
        member.num_requests += 1

    def leave(self) -> None:
        on_left = self._on_left
        if on_left is None:
            return
        self._on_left = None
        member = self.place.member
        member.outstanding -= self.slots
        member.outstanding_tokens -= self.tokens
        on_left(member)


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
    def outcome(self) -> Any:
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
            member = self._ticket.place.member
            member.num_failures += 1
            member.error = error
            # A probe was over with its first part; this counts for a closed breaker only.
            member.breaker.failed(0, self._now())
            self._ticket.leave()
            raise
        except BaseException:
            self._ticket.leave()
            raise

    def close(self) -> None:
        """Idempotent. Early: cancels the work upstream."""
        try:
            self._answer.close()
        finally:
            self._ticket.leave()

    def _ended(self) -> None:
        ticket = self._ticket
        member = ticket.place.member
        took_s = self._now() - ticket.started
        mean_s = member.service_s
        member.service_s = mean_s + 0.1 * (took_s - mean_s) if mean_s else took_s
        ticket.leave()
