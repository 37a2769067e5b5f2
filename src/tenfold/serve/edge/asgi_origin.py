"""How the ASGI edge asks its origin: one question at a time for each request, whoever else asks it.

A flight is the one question; those who ask the same meanwhile wait for it. An answer that may be kept is
read whole; any other is handed, still running, to the one who asked first, and the others ask themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator

from tenfold.errors import BackendError, InputError
from tenfold.serve.backends.http_pool import Pool, Response
from tenfold.serve.edge.asgi_request import HOP, EdgeRequest
from tenfold.serve.edge.asgi_store import Entry, Headers, Store
from tenfold.serve.edge.contract import (
    NOT_STORED,
    PERSONAL,
    SLOTS,
    SURROGATE_CONTROL,
    SURROGATE_KEY,
    SurrogateControl,
    parse_control,
)
from tenfold.serve.edge.templates import parse

_PASSING_S = 2.0
"""For so long after an answer that may not be kept, nobody waits for another's answer to that request."""
_MAX_PASSING = 4096
_VALIDATORS = frozenset((b"etag", b"last-modified", b"cache-control", b"expires", b"accept-ranges"))


class Live:
    """An answer that is not kept: what has come of it, and the rest as it comes. Always close it."""

    __slots__ = ("_begun", "_response", "headers", "status")

    def __init__(self, response: Response, begun: bytes = b"") -> None:
        self.status = response.status
        self.headers: Headers = [
            (name, value)
            for name, value in response.headers.items()
            if name not in (SURROGATE_CONTROL, SURROGATE_KEY)
            and (name not in HOP or name == b"content-length")
        ]
        self._begun = begun
        self._response = response

    async def parts(self) -> AsyncIterator[bytes]:
        if self._begun:
            yield self._begun
        async for part in self._response:
            yield part

    def close(self) -> None:
        self._response.close()


Found = Entry | Live


class _Flight:
    __slots__ = ("claimed", "task", "waiters")

    def __init__(self, task: asyncio.Task[Found]) -> None:
        self.task = task
        self.waiters = 0
        self.claimed = False


class Origin:
    """For one event loop."""

    def __init__(self, pool: Pool, store: Store, max_body_bytes: int) -> None:
        self._pool = pool
        self._store = store
        self._max_body_bytes = max_body_bytes
        self._flights: dict[bytes, _Flight] = {}
        self._passing: OrderedDict[bytes, float] = OrderedDict()

    def under_way(self, where: bytes) -> bool:
        return where in self._flights

    async def collapsed(self, request: EdgeRequest, old: Entry | None) -> Found:
        """The answer, shared with everybody who asks the same meanwhile. Raises BackendError."""
        if self._passing.get(request.where, 0.0) > time.monotonic():
            return await self.fetch(request, old)
        flight = self._flights.get(request.where)
        if flight is None:
            flight = _Flight(asyncio.create_task(self.fetch(request, old)))
            self._flights[request.where] = flight
            flight.task.add_done_callback(lambda _: self._flights.pop(request.where, None))
        flight.waiters += 1
        try:
            found = await asyncio.shield(flight.task)
            if isinstance(found, Entry) and found.stored:
                mine = _suits(found, request)
            else:
                mine, flight.claimed = not flight.claimed, True
        finally:
            flight.waiters -= 1
            if flight.waiters == 0:
                _abandon(flight)
        return found if mine else await self.fetch(request, old)

    async def fetch(self, request: EdgeRequest, old: Entry | None) -> Found:
        """Ask the origin; keep its answer if it says so. Raises BackendError."""
        serial = self._store.serial
        etag = old.etag if old is not None else b""
        body = request.body if request.body or request.method == b"POST" else None
        response = await self._pool.request(request.head(etag), body=body)
        try:
            control = parse_control(response.headers.get(SURROGATE_CONTROL, b""))
            if control.content not in (None, SLOTS):
                control = NOT_STORED  # made for another kind of edge
            if response.status == 304 and old is not None:
                return self._again(request, old, response, control, serial)
            storable = control.stored and self._storable(request, response)
            # A template is filled here also when it is not kept: nobody further on can.
            template = response.status == 200 and control.content == SLOTS
            if not storable:
                self._passes(request.where)
                if not template:
                    return Live(response)
            parts: list[bytes] = []
            num_bytes = 0
            async for part in response:
                parts.append(part)
                num_bytes += len(part)
                if num_bytes > self._max_body_bytes:
                    if template:
                        raise BackendError("the origin's template is too long", seen=num_bytes)
                    self._passes(request.where)
                    return Live(response, b"".join(parts))
            entry = _entry(request, response, b"".join(parts), control)
        except BaseException:
            response.close()
            raise
        if storable:
            self._store.put(request.where, entry, serial)
        return entry

    def _again(
        self,
        request: EdgeRequest,
        old: Entry,
        response: Response,
        control: SurrogateControl,
        serial: int,
    ) -> Entry:
        """The old answer, fresh again: the origin says that it has not changed."""
        response.close()
        control = control if control.stored else old.control
        entry = Entry(
            old.status, old.headers, old.body, old.template, old.etag, old.keys, old.vary, control,
            time.monotonic() + control.max_age_s,
        )  # fmt: skip
        self._store.put(request.where, entry, serial)
        return entry

    def _storable(self, request: EdgeRequest, response: Response) -> bool:
        length = response.headers.get(b"content-length", b"0")
        return (
            request.may_be_stored
            and response.status == 200
            and b"set-cookie" not in response.headers
            and b"content-encoding" not in response.headers
            and response.headers.get(b"vary", b"").strip() != b"*"
            and length.isdigit()
            and int(length) <= self._max_body_bytes
        )

    def _passes(self, where: bytes) -> None:
        self._passing[where] = time.monotonic() + _PASSING_S
        self._passing.move_to_end(where)
        if len(self._passing) > _MAX_PASSING:
            self._passing.popitem(last=False)


def _abandon(flight: _Flight) -> None:
    """Nobody waits any more: what is still running upstream is for nobody."""
    if not flight.task.done():
        flight.task.cancel()
    elif not flight.claimed and not flight.task.cancelled() and flight.task.exception() is None:
        found = flight.task.result()
        if isinstance(found, Live):
            found.close()


def _suits(entry: Entry, request: EdgeRequest) -> bool:
    return all(request.headers.get(name, b"") == value for name, value in entry.vary)


def _entry(
    request: EdgeRequest, response: Response, body: bytes, control: SurrogateControl
) -> Entry:
    template = None
    if control.content == SLOTS:
        try:
            template = parse(body)
        except InputError as error:
            raise BackendError(f"the origin's template is none: {error}") from None
    dropped = HOP | {SURROGATE_CONTROL, SURROGATE_KEY}
    if template is not None:
        dropped |= _VALIDATORS
    headers = [(name, value) for name, value in response.headers.items() if name not in dropped]
    if template is not None:
        headers.append((b"cache-control", PERSONAL))
    vary = [name.strip().lower() for name in response.headers.get(b"vary", b"").split(b",")]
    return Entry(
        response.status,
        headers,
        body,
        template,
        b"" if template is not None else response.headers.get(b"etag", b""),
        frozenset(response.headers.get(SURROGATE_KEY, b"").split()),
        tuple((n, request.headers.get(n, b"")) for n in vary if n and n != b"accept-encoding"),
        control,
        time.monotonic() + control.max_age_s,
    )
