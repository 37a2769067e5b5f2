"""Sends a trace to an OpenAI-compatible endpoint and writes down what came back, and when.

HTTP/1.1 with keep-alive on plain asyncio streams: a load client that is dearer than the server measures
itself. Errors are outcomes, not exceptions. Times are taken from when a request was due in an open loop,
so that a slow server cannot hide its queue, and from sending in a closed loop. Knows nothing about
gateways' tiers beyond the header that names one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tenfold.errors import UsageError
from tenfold.plan.trace import TraceRequest

TIER_HEADER = "x-tenfold-tier"
MAX_BODY_BYTES = 8 << 20
_MAX_IDLE_CONNECTIONS = 256


@dataclass(slots=True)
class Outcome:
    """What became of one request of the trace."""

    index: int
    """Its place in the trace."""
    status: int = 0
    """Of HTTP; 0 when there was no answer."""
    tier: str = ""
    """Where the answer came from, as the server says; empty when it does not."""
    text: str = ""
    latency_ms: float = 0.0
    ttft_ms: float | None = None
    """To the first text of a stream."""
    lag_ms: float = 0.0
    """How much later than due it was sent (open loop)."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    response_id: str = ""
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send, and how."""

    url: str
    """`http://host:port`, with or without `/v1`."""
    api_key: str
    model: str
    endpoint: str = "completions"
    """`completions` or `chat`."""
    temperature: float = 0.0
    timeout_s: float = 120.0
    """For one request, all of it."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                "not an address of a gateway",
                seen=self.url,
                hint="give it as http://HOST:PORT",
            )
        if self.endpoint not in ("completions", "chat"):
            raise UsageError("endpoint must be completions or chat", seen=self.endpoint)


async def send_trace(
    target: Target, requests: Sequence[TraceRequest], *, concurrency: int | None
) -> tuple[list[Outcome], float]:
    """Outcomes in the order of the trace, and the seconds it took.

    With `concurrency`, a closed loop: so many clients, each sending its next request when it has its
    answer. With None, an open loop: each request goes out at its `at_s`.
    """
    pool = _Pool(target)
    started = time.perf_counter()
    try:
        if concurrency is None:
            outcomes = await _open_loop(pool, requests, started)
        else:
            outcomes = await _closed_loop(pool, requests, concurrency)
    finally:
        wall_s = time.perf_counter() - started
        pool.close()
    return outcomes, wall_s


async def _closed_loop(
    pool: _Pool, requests: Sequence[TraceRequest], concurrency: int
) -> list[Outcome]:
    outcomes = [Outcome(index) for index in range(len(requests))]
    waiting = iter(zip(outcomes, requests, strict=True))

    async def client() -> None:
        for outcome, request in waiting:
            await pool.send(request, outcome, time.perf_counter())

    await asyncio.gather(*(client() for _ in range(min(concurrency, len(requests)))))
    return outcomes


async def _open_loop(
    pool: _Pool, requests: Sequence[TraceRequest], started: float
) -> list[Outcome]:
    outcomes = [Outcome(index) for index in range(len(requests))]
    running = []
    for outcome, request in zip(outcomes, requests, strict=True):
        due = started + request.at_s
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        outcome.lag_ms = max(0.0, time.perf_counter() - due) * 1e3
        running.append(asyncio.create_task(pool.send(request, outcome, due)))
    await asyncio.gather(*running)
    return outcomes


class _Stale(Exception):
    """A kept connection that the server closed before it saw the request."""


class _Refused(Exception):
    """The answer is not what was asked for; the message says why."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False


class _Pool:
    """Kept connections to one target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = urlsplit(target.url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        base = parts.path.rstrip("/").removesuffix("/v1")
        tail = "/v1/chat/completions" if target.endpoint == "chat" else "/v1/completions"
        extra = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
        self._head = (
            f"POST {base}{tail} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"authorization: Bearer {target.api_key}\r\ncontent-type: application/json\r\n"
            f"user-agent: tenfold-replay\r\n{extra}content-length: "
        )
        self._idle: list[_Connection] = []

    def close(self) -> None:
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()

    async def send(self, request: TraceRequest, outcome: Outcome, due: float) -> None:
        """Fill `outcome`. Never raises for what a server or a network can do."""
        payload = self._payload(request)
        try:
            async with asyncio.timeout(self._target.timeout_s):
                while True:
                    connection = await self._connection()
                    try:
                        await self._exchange(connection, payload, request, outcome, due)
                        break
                    except _Stale:
                        continue  # nothing was answered: the same request on another connection
        except TimeoutError:
            outcome.error = "timeout"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            outcome.error = f"connection: {error or type(error).__name__}"
        except (_Refused, ValueError, KeyError, TypeError, IndexError) as error:
            outcome.error = f"answer: {error or type(error).__name__}"
        outcome.latency_ms = (time.perf_counter() - due) * 1e3

    def _payload(self, request: TraceRequest) -> bytes:
        body: dict[str, Any] = {
            "model": self._target.model,
            "max_tokens": request.max_tokens,
            "temperature": self._target.temperature,
        }
        if self._target.endpoint == "chat":
            body["messages"] = [{"role": "user", "content": request.prompt}]
        else:
            body["prompt"] = request.prompt
        if request.stream:
            body.update(stream=True, stream_options={"include_usage": True})
        data = json.dumps(body).encode()
        return f"{self._head}{len(data)}\r\n\r\n".encode() + data

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof():
                return connection
            connection.writer.close()
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._tls, limit=MAX_BODY_BYTES
        )
        return _Connection(reader, writer)

    async def _exchange(
        self,
        connection: _Connection,
        payload: bytes,
        request: TraceRequest,
        outcome: Outcome,
        due: float,
    ) -> None:
        reusable = False
        try:
            try:
                connection.writer.write(payload)
                head = await connection.reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if connection.used and not getattr(error, "partial", b""):
                    raise _Stale from None
                raise
            outcome.status, headers = _parse_head(head)
            outcome.tier = headers.get(TIER_HEADER, "")
            body = _body(connection.reader, headers)
            if outcome.status == 200 and "event-stream" in headers.get("content-type", ""):
                await _read_stream(body, outcome, due)
            else:
                data = b"".join([chunk async for chunk in body])
                _read_answer(data, outcome)
            reusable = headers.get("connection", "").lower() != "close"
        finally:
            connection.used = True
            if reusable and len(self._idle) < _MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
            else:
                connection.writer.close()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1."):
        raise _Refused(f"not HTTP/1: {lines[0]!r}")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The body's bytes as they come, at most MAX_BODY_BYTES of them."""
    num_bytes = 0
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            num_bytes += size
            if num_bytes > MAX_BODY_BYTES:
                raise _Refused(f"more than {MAX_BODY_BYTES} bytes")
            chunk = await reader.readexactly(size + 2)
            if size == 0:
                return
            yield chunk[:-2]
    elif "content-length" in headers:
        size = int(headers["content-length"])
        if size > MAX_BODY_BYTES:
            raise _Refused(f"more than {MAX_BODY_BYTES} bytes")
        if size:
            yield await reader.readexactly(size)
    else:
        raise _Refused("neither a length nor chunks")


async def _read_stream(body: Any, outcome: Outcome, due: float) -> None:
    """Server-sent events: pieces of text, usage in the last one, then `[DONE]`."""
    pieces, pending, done = [], b"", False
    async for chunk in body:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            data = line[5:].strip() if line.startswith(b"data:") else b""
            if data == b"[DONE]":
                done = True
            elif data:
                event = json.loads(data)
                if "error" in event:
                    raise _Refused(_message(event))
                piece = _piece(event)
                if piece and outcome.ttft_ms is None:
                    outcome.ttft_ms = (time.perf_counter() - due) * 1e3
                pieces.append(piece)
                _take_usage(event, outcome)
    outcome.text = "".join(pieces)
    if not done:
        raise _Refused("the stream ended early")


def _read_answer(data: bytes, outcome: Outcome) -> None:
    if outcome.status != 200:
        raise _Refused(f"status {outcome.status}: {_message(_json_or_text(data))}")
    answer = json.loads(data)
    outcome.text = _piece(answer)
    _take_usage(answer, outcome)


def _piece(event: Mapping[str, Any]) -> str:
    choices = event["choices"]
    if not choices:
        return ""
    choice = choices[0]
    said = choice.get("message") or choice.get("delta")
    return (said.get("content") if said else choice.get("text")) or ""


def _take_usage(event: Mapping[str, Any], outcome: Outcome) -> None:
    outcome.response_id = event.get("id") or outcome.response_id
    usage = event.get("usage")
    if usage:
        outcome.prompt_tokens = int(usage["prompt_tokens"])
        outcome.completion_tokens = int(usage.get("completion_tokens", 0))


def _json_or_text(data: bytes) -> Any:
    """An error's body: OpenAI's shape, or whatever a proxy in between wrote."""
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def _message(answer: Any) -> str:
    error = answer.get("error", answer) if isinstance(answer, Mapping) else answer
    return str(error.get("message", error) if isinstance(error, Mapping) else error)[:300]
