"""A request that nobody sent: it has no connection, and its reply goes to who made it.

It is what the gateway's path takes a request to be, so a line of a batch goes the way of every other request.
"""

from __future__ import annotations

import asyncio

from tenfold.serve.http.request import ClientGone, Request


class InnerRequest(Request):
    """For one event loop."""

    __slots__ = ("_lines", "_parts", "_status", "answered")

    def __init__(self, path: str, body: bytes) -> None:
        self.method = "POST"
        self.path = path
        self.query = b""
        self.headers = ()
        self.body = body
        self.keep_alive = True
        self.gone = False
        self.on_gone = None
        self._status = 0
        self._lines = b""
        self._parts: list[bytes] = []
        self.answered: asyncio.Future[tuple[int, bytes, bytes]] = (
            asyncio.get_running_loop().create_future()
        )
        """Status, header lines and body; cancelled by `left`."""

    @property
    def begun(self) -> bool:
        return self._status != 0

    @property
    def finished(self) -> bool:
        return self.answered.done()

    @property
    def blocked(self) -> bool:
        return False

    def reply(self, status: int, head: bytes, body: bytes) -> None:
        self.begin(status, head)
        self.write(body)
        self.finish()

    def begin(
        self, status: int, head: bytes, length: int | None = None, first: bytes = b""
    ) -> None:
        if self.begun:
            raise RuntimeError("this request has its answer")
        self._status, self._lines = status, head
        if first:
            self._parts.append(first)

    def write(self, part: bytes) -> None:
        self._parts.append(part)

    def finish(self) -> None:
        if not self.answered.done():
            self.on_gone = None
            self.answered.set_result((self._status, self._lines, b"".join(self._parts)))

    def abort(self) -> None:
        if not self.answered.done():
            self.answered.set_exception(ClientGone())

    async def drained(self) -> None:
        if self.gone:
            raise ClientGone

    def left(self) -> None:
        """For who made it: nobody waits for the answer any more."""
        self.gone = True
        told, self.on_gone = self.on_gone, None
        if told is not None and not self.answered.done():
            told()
        self.answered.cancel()
