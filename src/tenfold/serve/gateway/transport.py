"""ASGI, as little of it as the gateway needs: read a body, send an answer, notice a client that left.

No framework stands here on purpose: routing and validation by one cost more than a cached answer does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tenfold.serve.refusal import Refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
EVENTS: Header = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE: Header = (b"cache-control", b"no-cache")
CLOSE: Header = (b"connection", b"close")


_LINGER_S = 5.0
_LINGER_BYTES = 64 * 1024 * 1024


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


async def read_body(receive: Receive, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body. Raises Refusal (408, 413) and ClientGone."""
    parts: list[bytes] = []
    num_bytes = 0
    more = True
    try:
        async with asyncio.timeout(timeout_s):  # the first part, too, may never come
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message.get("body", b""))
                num_bytes += len(parts[-1])
                if num_bytes > limit_bytes:
                    raise too_large(limit_bytes)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refusal(
            408,
            f"The request body did not arrive within {timeout_s:g} s.",
            code="body_timeout",
            headers=(CLOSE,),
        ) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(limit_bytes: int) -> Refusal:
    return Refusal(
        413,
        f"The request body is larger than the {limit_bytes:,} bytes that this gateway takes.",
        code="request_too_large",
        headers=(CLOSE,),
    )


async def respond(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """One answer with a known length."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_to_a_sender(
    send: Send, receive: Receive, status: int, headers: list[Header], body: bytes
) -> None:
    """An answer to somebody who is still sending a body that nobody wants, then the end.

    Closing at once would reset the connection, and the client would see that instead of its answer. So
    the rest of the body is read and thrown away, up to a bound, before the last byte of the answer.
    """
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
    num_bytes = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while num_bytes < _LINGER_BYTES:
                message = await receive()
                num_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": body[-1:]})


class Departure:
    """Cancels the task inside `async with` when the client leaves, and turns that into ClientGone."""

    __slots__ = ("_gone", "_receive", "_task", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watch = asyncio.create_task(self._wait())

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._task, task = None, self._task
        if self._watch is not None:
            self._watch.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError) and task is not None:
            task.uncancel()
            raise ClientGone from None

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._gone = True
            self._task.cancel()
