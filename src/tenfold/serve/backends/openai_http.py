"""An OpenAI-compatible server as a backend: vLLM, SGLang, another gateway, a cloud.

A request goes there byte for byte as the client sent it. Two things may differ: the model's name, where it
has another one over there, and `stream_options.include_usage`, which a stream needs to be accounted for (the
client gets the usage chunk only if it asked). Answers come back byte for byte. The server's own errors keep
their status and message. Closing a stream early closes its connection, which every such server takes as a
cancel. It knows no HTTP parsing (`http_pool`) and no tiers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from tenfold.errors import BackendError, ConfigError, UnknownName
from tenfold.serve.backends.base import (
    Answer,
    BackendRefusal,
    Call,
    Embeddings,
    Generation,
    ModelCard,
    Piece,
    Room,
    Take,
)
from tenfold.serve.backends.http_pool import Pool, PoolConfig, Response
from tenfold.serve.protocols.spans import span_of
from tenfold.serve.protocols.watch import Watch, watch

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 4 * 1024 * 1024
_LINGER_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIConfig:
    base_url: str
    """Up to and with `/v1`: `http://127.0.0.1:8000/v1`."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token; never logged."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Name here -> name there. Empty: every model the server lists, under its own name."""
    speaks: frozenset[str] = frozenset(
        {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"}
    )
    """Endpoints the server has. What it lacks is translated into chat completions where that can be done."""
    pool: PoolConfig = field(default_factory=PoolConfig)

    def __post_init__(self) -> None:
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("the API key has characters that no header can carry")


class OpenAIBackend:
    """Answers with a server that speaks the OpenAI protocol."""

    models_path = b"/models"

    def __init__(
        self, config: OpenAIConfig, *, name: str = "openai", tls: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self._config = config
        self._pool = Pool(config.base_url, config.pool, tls)
        self._path = urlsplit(config.base_url).path.rstrip("/").encode()
        self._names = dict(config.models)
        self._cards: tuple[ModelCard, ...] = ()
        self._headers = [
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            (b"user-agent", b"tenfold"),
            *self._credentials(config),
        ]
        self.speaks = config.speaks
        self._heads = {
            endpoint: self._pool.head(
                b"POST", self._path + endpoint.removeprefix("/v1").encode(), self._headers
            )
            for endpoint in config.speaks
        }

    def _credentials(self, config: OpenAIConfig) -> Sequence[tuple[bytes, bytes]]:
        """The headers that show the key."""
        if not config.api_key:
            return ()
        return ((b"authorization", b"Bearer " + config.api_key.encode()),)

    async def start(self) -> None:
        """Ask the server for its models. Raises BackendError while it is not there, ConfigError when it
        lacks a configured model."""
        plain = await self._listing()
        try:
            listed = {str(card["id"]): card for card in plain["data"]}
        except (KeyError, TypeError):
            raise self._odd("its list of models") from None
        for there in self._config.models.values():
            if there not in listed:
                raise UnknownName("model", there, listed, where=self._pool.where)
        if not self._config.models:
            self._names = {name: name for name in listed}
        self._cards = tuple(_card(here, listed[there]) for here, there in self._names.items())

    async def probe(self) -> None:
        """Whether the server is well, by its list of models. Raises BackendError."""
        await self._listing()

    async def stop(self) -> None:
        self._pool.close()

    def cards(self) -> Sequence[ModelCard]:
        return self._cards

    def pids(self) -> Sequence[int]:
        return ()

    async def open(self, call: Call) -> Answer:
        head = self._heads.get(call.endpoint)
        if head is None:
            raise UnknownName("endpoint", call.endpoint, self._heads, where=self.name)
        body = _addressed(call, self._name(call.model))
        response = await self._pool.request(head, call.headers, body)
        try:
            if response.status != 200:
                raise await self._refusal(response)
            streamed = b"event-stream" in response.headers.get(b"content-type", b"")
            if streamed != call.stream:
                expected = "a stream" if call.stream else "JSON"
                raise self._odd(expected, await response.read(MAX_ANSWER_BYTES))
            return Forwarded(self._pool.where, response, watch(call.endpoint), streamed)
        except BaseException:
            response.close()
            raise

    def generate(self, request: Generation) -> AsyncIterator[Piece]:
        raise NotImplementedError("this backend forwards: use open()")

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        raise NotImplementedError("this backend forwards: use open()")

    def _name(self, model: str) -> str:
        try:
            return self._names[model]
        except KeyError:
            raise UnknownName("model", model, self._names) from None

    async def _listing(self) -> Any:
        head = self._pool.head(b"GET", self._path + self.models_path, self._headers)
        response = await self._pool.request(head)
        try:
            if response.status != 200:
                raise await self._refusal(response)
            data = await response.read(MAX_ANSWER_BYTES)
        finally:
            response.close()
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise self._odd("JSON", data) from None

    async def _refusal(self, response: Response) -> BackendError:
        try:
            async with asyncio.timeout(5):
                plain = orjson.loads(await response.read(MAX_EVENT_BYTES))
            error = plain.get("error", plain)
        except (BackendError, TimeoutError, orjson.JSONDecodeError, AttributeError):
            error = None
        wait = response.headers.get(b"retry-after", b"")
        return self._failure(error, response.status, float(wait) if wait.isdigit() else None)

    def _failure(self, error: Any, status: int, retry_after_s: float | None = None) -> BackendError:
        """The server's error as ours. Its 401 and 403 are our operator's business, not our client's."""
        said = error if isinstance(error, dict) else {"message": error}
        message = str(said.get("message") or "no reason given")[:2000]
        code, param = said.get("code"), said.get("param")
        if status in (401, 403):
            return BackendRefusal(
                f"the server behind this model refused the gateway's own key ({status})",
                status=502,
                code="backend_refused_key",
                where=self._pool.where,
            )
        if status < 400 or status > 599:
            return BackendError(f"the server answered with status {status}", where=self._pool.where)
        return BackendRefusal(
            message,
            status=status,
            code=None if code is None else str(code),
            param=None if param is None else str(param),
            retry_after_s=retry_after_s,
            where=self._pool.where,
        )

    def _odd(self, expected: str, seen: bytes | None = None) -> BackendError:
        return BackendError(
            f"the server did not answer with {expected}",
            where=self._pool.where,
            seen=None if seen is None else seen[:200],
        )


class Forwarded:
    """An answer on its way through, as it comes: whole events, nothing else held back."""

    def __init__(self, where: str, response: Response, watch: Watch, stream: bool) -> None:
        self.stream = stream
        self.outcome = watch.outcome
        self._where = where
        self._response = response
        self._watch = watch
        self._rest = b""
        """The beginning of an event whose end has not come."""
        self._over = False

    def close(self) -> None:
        self._over = True
        self._response.close()

    def __aiter__(self) -> Forwarded:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            if not self.stream:
                return await self._body()
            async for raw in self._response:
                part = self._events(raw)
                if part:
                    if self.outcome.complete:
                        await self._ended()
                    return part
            last = self._last()
        except BaseException:
            self.close()
            raise
        if not last:
            raise StopAsyncIteration
        return last

    async def pour(self, take: Take, room: Room) -> None:
        """The rest of a stream, each part handed to `take` as it comes. When `take` says that its client is
        behind, `room` is waited for. Raises what iterating would, and what they raise."""

        def sink(raw: bytes) -> bool:
            part = self._events(raw)
            return bool(part) and (take(part) or self.outcome.complete)

        try:
            while not self._over:
                if await self._response.pour(sink):
                    last = self._last()
                    if last:
                        take(last)
                elif self.outcome.complete:
                    await self._ended()
                else:
                    await room()
        except BaseException:
            self.close()
            raise

    async def _body(self) -> bytes:
        body = await self._response.read(MAX_ANSWER_BYTES)
        self.close()
        try:
            self._watch.whole(body)
        except ValueError:
            raise BackendError(
                "the server did not answer with JSON", where=self._where, seen=body[:200]
            ) from None
        return body

    def _events(self, raw: bytes) -> bytes:
        """The whole events there are; what is split over two packets is joined."""
        if self._rest:
            raw = self._rest + raw
            self._rest = b""
        if not raw.endswith(b"\n\n"):
            end = _end_of_events(raw)
            raw, self._rest = raw[:end], raw[end:]
            if len(self._rest) > MAX_EVENT_BYTES:
                raise BackendError("the server sends events without an end", where=self._where)
            if not raw:
                return b""
        self._watch.events(raw)
        return raw

    async def _ended(self) -> None:
        """What follows now is the end of the last chunk; with it the connection can be kept."""
        await self._response.drained(_LINGER_S)
        self.close()

    def _last(self) -> bytes:
        """The body is over: an event that has no end but that. Raises BackendError when more was to come."""
        last, self._rest = self._rest, b""
        if last.strip():
            last += b"\n\n"
            self._watch.events(last)
        self.close()
        if not self.outcome.complete:
            raise BackendError("the server's stream ended before its answer did", where=self._where)
        return last if last.strip() else b""


def _end_of_events(part: bytes) -> int:
    """Where the last whole event ends, 0 when there is none; servers may end lines with CR LF."""
    plain, returned = part.rfind(b"\n\n"), part.rfind(b"\r\n\r\n")
    return max(plain + 2 if plain >= 0 else 0, returned + 4 if returned >= 0 else 0)


_USAGE_WANTED = b'"stream_options":{"include_usage":true}'


def _addressed(call: Call, model: str) -> bytes:
    """The body for over there: the client's bytes, but for a name or the accounting where they ask for it."""
    plain = call.plain
    body = call.body
    if model != plain.get("model"):
        body = _with(body, "model", model)
    if not call.stream or call.endpoint not in _COUNTS or _asks_for_usage(plain):
        return body
    if "stream_options" in plain:
        options = {**(plain["stream_options"] or {}), "include_usage": True}
        return _with(body, "stream_options", options)
    body = body.rstrip()
    return body[:-1] + b"," + _USAGE_WANTED + b"}"  # an object with `model` in it is not empty


def _with(body: bytes, name: str, value: Any) -> bytes:
    """The body with another value of a member, and every other byte as it was."""
    span = span_of(body, name)
    if span is None:
        raise BackendError(f"the request has no `{name}`")
    return body[: span[0]] + orjson.dumps(value) + body[span[1] :]


_COUNTS = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Endpoints whose streams tell usage only when asked to."""


def _asks_for_usage(plain: Mapping[str, Any]) -> bool:
    options = plain.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def _card(name: str, listed: Any) -> ModelCard:
    def get(*fields: str) -> Any:
        return next((listed[f] for f in fields if isinstance(listed, dict) and listed.get(f)), None)

    context, created, digest = get("context_tokens", "max_model_len"), get("created"), get("digest")
    return ModelCard(
        name=name,
        digest=digest if isinstance(digest, str) else "",
        context_tokens=context if isinstance(context, int) else None,
        owner=str(get("owned_by") or "unknown"),
        created_at_s=created if isinstance(created, int) else 0,
    )
