"""One client getting its answer: the head, the parts, the end, and what is left out for it.

It writes bytes to a connection and notes times; where they come from is the path's business.
"""

from __future__ import annotations

import contextlib
import time

from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.http.request import ClientGone, Request

JSON_HEAD = b"content-type: application/json\r\n"
EVENTS_HEAD = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"


class Delivery:
    __slots__ = ("_begun", "_exchange", "_request", "_with_usage", "gone", "head")

    def __init__(self, request: Request, exchange: Exchange, with_usage: bool) -> None:
        self._request = request
        self._exchange = exchange
        self._with_usage = with_usage
        self._begun = False
        self.gone = False
        """The client left; what is written from now on is lost."""
        self.head = b""
        """Further header lines."""

    @property
    def begun(self) -> bool:
        """Whether the status is out: from then on an error can only be an event of the stream."""
        return self._begun

    def whole(self, body: bytes) -> None:
        self._exchange.status = 200
        self._begun = True
        if not self.gone:
            self._request.reply(200, JSON_HEAD + self.head, body)

    def part(self, part: bytes, usage_event: bytes) -> None:
        """One or more whole events. The one that only carries usage is for those who asked for it."""
        if usage_event and not self._with_usage:
            part = part.replace(usage_event, b"", 1)
        if self.gone:
            return
        if not self._begun:
            self._begun = True
            self._exchange.status = 200
            self._request.begin(200, EVENTS_HEAD + self.head, first=part)
            self._exchange.ttft_s = time.monotonic() - self._exchange.started
        elif part:
            self._request.write(part)

    def end(self) -> None:
        if not self.gone:
            self._request.finish()

    def broken(self, event: bytes) -> None:
        """The last event of a stream that breaks off: the status is out, this is what is left to say."""
        self._request.write(event)
        self._request.finish()

    @property
    def full(self) -> bool:
        """The client reads more slowly than we write."""
        return not self.gone and self._request.blocked

    async def room(self) -> None:
        """Wait until the client has read most of what was written, or has left: what becomes of the answer
        then is not for this client to say."""
        with contextlib.suppress(ClientGone):
            await self._request.drained()
