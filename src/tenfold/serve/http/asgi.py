"""A mounted ASGI application as a handler: the console beside the gateway. HTTP only, no lifespan.

It knows no framework. What the application writes waits for the client to take it; a client that leaves is
told to the application as `http.disconnect`, and as OSError when it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tenfold.serve.http.request import ClientGone, Request

log = logging.getLogger("tenfold.http")

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS = re.compile(rb"[\x00\r\n]")
_OURS = (b"connection", b"transfer-encoding", b"keep-alive")
_FAILED = b"The page failed; the server's log has the reason.\n"


class Mounted:
    """A handler that runs an application. Each request is a task; `cancel` ends those that are left."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel every request under way and wait for it to end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, request: Request) -> None:
        exchange = _Exchange(request)
        try:
            await self._app(exchange.scope(), exchange.receive, exchange.send)
            if not request.finished and not request.gone:
                log.error("%s %s was not answered in full", request.method, request.path[:200])
        except ClientGone:
            pass  # the application let it through
        except OSError as error:
            if not request.gone:
                self._failed(request, error)
        except Exception as error:
            self._failed(request, error)
        finally:
            exchange.end()

    def _failed(self, request: Request, error: Exception) -> None:
        log.error("%s %s failed", request.method, request.path[:200], exc_info=error)


class _Exchange:
    """One request as ASGI sees it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._given = False
        self._over = asyncio.Event()
        self._start: tuple[int, bytes, int | None] | None = None
        request.on_gone = self._over.set

    def scope(self) -> Message:
        request = self._request
        return {
            "type": "http",
            # 2.3: the application listens for the disconnect. From 2.4 on it may wait for a write to fail,
            # and a stream that has nothing to say would outlive its client.
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.version,
            "method": request.method,
            "scheme": "https" if request.encrypted else "http",
            "path": request.path,
            "raw_path": request.target.partition(b"?")[0],
            "query_string": request.query,
            "root_path": "",
            "headers": list(request.headers),
            "client": request.peer,
            "server": request.local,
        }

    async def receive(self) -> Message:
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        request = self._request
        if request.gone:
            raise OSError("the client left")
        kind = message["type"]
        if kind == "http.response.start":
            if self._start is not None:
                raise RuntimeError("this response has begun")
            self._start = _start(message)
            return
        if kind != "http.response.body" or self._start is None:
            raise RuntimeError(f"{kind} is not expected here")
        body, more = message.get("body", b""), message.get("more_body", False)
        if not request.begun:
            status, head, length = self._start
            if not more and (length is None or length == len(body)):
                request.reply(status, head, body)
                self._over.set()
                return
            request.begin(status, head, length)
        request.write(body)
        if more:
            with contextlib.suppress(ClientGone):  # the next send tells
                await request.drained()
        else:
            request.finish()
            self._over.set()

    def end(self) -> None:
        """Whatever became of the application, the client gets an end."""
        request = self._request
        self._over.set()
        if request.finished or request.gone:
            return
        if request.begun:
            request.abort()
        else:
            request.reply(500, b"content-type: text/plain; charset=utf-8\r\n", _FAILED)


def _start(message: Message) -> tuple[int, bytes, int | None]:
    """Status, header lines and announced length. Raises ValueError for a header that is none."""
    lines = []
    length = None
    for name, value in message.get("headers", ()):
        name = name.lower()
        if not _NAME.fullmatch(name) or _BREAKS.search(value):
            raise ValueError(f"the application's header {name!r} is not one")
        if name == b"content-length":
            length = int(value)
        elif name not in _OURS:
            lines.append(b"%b: %b\r\n" % (name, value))
    return int(message["status"]), b"".join(lines), length
