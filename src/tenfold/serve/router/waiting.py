"""Requests that wait for room at a member: bounded, by priority, fair between tenants, first come first.

It knows no members: it is told when there may be room and asks each waiter, in turn, to take it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.routed import Ticket


class Waiter:
    __slots__ = ("ask", "got", "model")

    def __init__(self, ask: RouteAsk, model: str, got: asyncio.Future[Ticket]) -> None:
        self.ask = ask
        self.model = model
        self.got = got


class WaitingRoom:
    """Within a priority, tenants take turns; within a tenant, the first to come is the first to go."""

    def __init__(self, max_waiting: int, on_room: Callable[[], None]) -> None:
        """`on_room` is called when a ticket was given back while somebody waits."""
        self.max_waiting = max_waiting
        self.on_room = on_room
        self.num_waiting = 0
        self._lines: dict[str, dict[int, OrderedDict[str, deque[Waiter]]]] = {}
        self._lengths: dict[str, int] = {}

    def length(self, model: str) -> int:
        return self._lengths.get(model, 0)

    def models(self) -> list[str]:
        return list(self._lines)

    def join(self, waiter: Waiter) -> None:
        ask = waiter.ask
        tenants = self._lines.setdefault(waiter.model, {}).setdefault(ask.priority, OrderedDict())
        tenants.setdefault(ask.tenant, deque()).append(waiter)
        self.num_waiting += 1
        self._lengths[waiter.model] = self.length(waiter.model) + 1

    def leave(self, waiter: Waiter) -> None:
        """A waiter gives up. Nothing happens when it is not here any more."""
        tenants = self._lines.get(waiter.model, {}).get(waiter.ask.priority)
        line = tenants.get(waiter.ask.tenant) if tenants else None
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        self._removed(waiter, line)

    def serve(self, model: str, claim: Callable[[RouteAsk, str], Ticket | None]) -> None:
        """Hand out room for a model, until `claim` finds none or nobody waits."""
        while (waiter := self._next(model)) is not None:
            if waiter.got.done():  # its client left in this moment
                self.leave(waiter)
                continue
            ticket = claim(waiter.ask, model)
            if ticket is None:
                return
            tenants = self._lines[model][waiter.ask.priority]
            tenants.move_to_end(waiter.ask.tenant)
            line = tenants[waiter.ask.tenant]
            line.popleft()
            self._removed(waiter, line)
            waiter.got.set_result(ticket)

    def fail(self, model: str, error: Exception) -> None:
        """Nobody will ever serve this model again."""
        while (waiter := self._next(model)) is not None:
            self.leave(waiter)
            if not waiter.got.done():
                waiter.got.set_exception(error)

    def _next(self, model: str) -> Waiter | None:
        lines = self._lines.get(model)
        if not lines:
            return None
        tenants = lines[max(lines)]
        return next(iter(tenants.values()))[0]

    def _removed(self, waiter: Waiter, line: deque[Waiter]) -> None:
        model, ask = waiter.model, waiter.ask
        self.num_waiting -= 1
        self._lengths[model] -= 1
        if line:
            return
        lines = self._lines[model]
        del lines[ask.priority][ask.tenant]
        if not lines[ask.priority]:
            del lines[ask.priority]
        if not lines:
            del self._lines[model], self._lengths[model]
