"""Which flights there are: found, joined and led, by the workers of one host together.

A request joins. It leads where nobody in this process and, by claim, nobody on this host makes the same answer;
otherwise it follows, through a relay where the leader is another process.

    flight, leads = flights.join(key)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tenfold.serve.cache.claim import Claims
from tenfold.serve.cache.flight import Flight, Lost, Trials, Vacant, fresh
from tenfold.serve.cache.stored import Stored

FIRST_WAIT_S = 0.005
LONGEST_WAIT_S = 0.2


class Fetch(Protocol):
    """Follow a key at the process `pid` and publish what comes. False: it knows nothing of it.

    Raises OSError or TimeoutError where it cannot be reached or goes silent.
    """

    async def __call__(self, pid: int, flight: Flight) -> bool: ...


class Neighbours:
    """What makes flights span the processes of a host."""

    def __init__(
        self,
        claims: Claims,
        fetch: Fetch,
        look: Callable[[bytes], Stored | None],
        after_puts: Callable[[Callable[[], None]], None],
    ) -> None:
        """`look` and `after_puts` are the host tier's: a claim is given up when the answer can be found."""
        self.claims = claims
        self.fetch = fetch
        self.look = look
        self.after_puts = after_puts


class Flights:
    """The table, for one event loop. Bounded: beyond it, requests are answered each on its own."""

    def __init__(
        self,
        *,
        max_flights: int = 10_000,
        max_flight_bytes: int = 16 * 1024 * 1024,
        max_leaders: int = 3,
        patience_s: float = 2.0,
        neighbours: Neighbours | None = None,
    ) -> None:
        """An answer longer than `max_flight_bytes` takes no new followers. After `max_leaders` failed in a
        row, all get the error. `patience_s`: how long to look for a leader that another process is said to
        be before making the answer here as well."""
        self.neighbours = neighbours
        self.num_led = 0
        self.num_followed = 0
        self._flights: dict[bytes, Flight] = {}
        self._max_flights = max_flights
        self._max_flight_bytes = max_flight_bytes
        self._max_leaders = max_leaders
        self._patience_s = patience_s
        self._tokens: dict[Flight, object] = {}
        self._alone: set[bytes] = set()
        """Keys whose claim is held by a process that cannot be followed."""

    @property
    def num_flights(self) -> int:
        return len(self._flights)

    def find(self, key: bytes) -> Flight | None:
        """One in this process that can be joined."""
        return self._flights.get(key)

    def join(self, key: bytes, after: Vacant | None = None) -> tuple[Flight, bool]:
        """The flight, and whether to lead it. A follower first awaits `flight.follow().begun()`.

        `after` is what a follower met that joins again. Raises the last leader's error when enough failed.
        """
        trials = after.trials if after is not None else Trials()
        if trials.error is not None and trials.num_failed >= self._max_leaders:
            raise fresh(trials.error)
        flight = self._flights.get(key)
        if flight is not None:
            self.num_followed += 1
            return flight, False
        near = self.neighbours
        if near is None or key in self._alone or len(self._flights) >= self._max_flights:
            self._alone.discard(key)
            return self._lead(key, trials), True
        token = near.claims.take(key)
        if token is None:
            flight = self._list(key, trials)
            flight.carry(self._relay(flight, near))
            self.num_followed += 1
            return flight, False
        stored = near.look(key)  # it may have landed between the look-up and the claim
        if stored is not None:
            near.claims.release(key, token)
            flight = Flight(key, self._max_flight_bytes, lambda landed: None)
            flight.end(None, stored)
            return flight, False
        flight = self._lead(key, trials)
        self._tokens[flight] = token
        return flight, True

    def lead(self, key: bytes) -> Flight:
        """A flight of this request's own, whatever others do; others may follow it where there is room."""
        return self._lead(key, Trials())

    def close(self) -> None:
        """Ends what follows other processes and what goes on without its leader."""
        for flight in list(self._flights.values()):
            flight.cancel()

    def _lead(self, key: bytes, trials: Trials) -> Flight:
        self.num_led += 1
        return self._list(key, trials)

    def _list(self, key: bytes, trials: Trials) -> Flight:
        flight = Flight(key, self._max_flight_bytes, self._landed)
        flight.trials = trials
        if len(self._flights) < self._max_flights:
            self._flights.setdefault(key, flight)
        return flight

    def _landed(self, flight: Flight) -> None:
        """It ended, or has become too long to be joined."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if not flight.done:
            return
        if isinstance(flight.error, Exception) and not isinstance(flight.error, Vacant):
            flight.trials.num_failed += 1
            flight.trials.error = flight.error
        token = self._tokens.pop(flight, None)
        if token is not None and self.neighbours is not None:
            claims, key = self.neighbours.claims, flight.key
            if flight.stored is not None:
                self.neighbours.after_puts(lambda: claims.release(key, token))
            else:
                claims.release(key, token)

    async def _relay(self, flight: Flight, near: Neighbours) -> None:
        """Publish here what the leader in another process publishes there."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience_s
        wait_s = FIRST_WAIT_S
        try:
            while loop.time() < give_up:
                pid = near.claims.holder(flight.key)
                if pid is None:  # free: whoever follows here may try to lead
                    flight.fail(Vacant())
                    return
                try:
                    if await near.fetch(pid, flight):
                        return
                except (OSError, TimeoutError) as error:
                    if flight.begun:
                        flight.fail(Lost(f"the answer broke off in another worker: {error}"))
                        return
                stored = near.look(flight.key)
                if stored is not None:
                    flight.end(None, stored)
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            self._alone.add(flight.key)
            if len(self._alone) > self._max_flights:
                self._alone.pop()
            flight.fail(Vacant())
        finally:
            if not flight.done:
                flight.fail(Vacant())
