"""An OpenAI-compatible server as a backend: vLLM, SGLang, another gateway, a cloud.

Requests are rebuilt from what the gateway understood plus every field it did not, under the model's name
over there. The server's own errors keep their status and message. Closing a stream early closes its
connection, which every such server takes as a cancel. It knows no HTTP parsing (`http_pool`) and no tiers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from array import array
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from sys import byteorder
from typing import Any
from urllib.parse import urlsplit

import orjson

from tenfold.errors import BackendError, ConfigError, UnknownName
from tenfold.serve.backends.base import (
    BackendRefusal,
    Embeddings,
    Generation,
    Message,
    ModelCard,
    Piece,
    TokenUsage,
)
from tenfold.serve.backends.http_pool import Pool, PoolConfig, Response

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_LINGER_S = 0.5
MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIConfig:
    base_url: str
    """Up to and with `/v1`: `http://127.0.0.1:8000/v1`."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token; never logged."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Name here -> name there. Empty: every model the server lists, under its own name."""
    pool: PoolConfig = field(default_factory=PoolConfig)

    def __post_init__(self) -> None:
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("the API key has characters that no header can carry")


class OpenAIBackend:
    """Answers with a server that speaks the OpenAI protocol."""

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
        ]
        if config.api_key:
            self._headers.append((b"authorization", b"Bearer " + config.api_key.encode()))

    async def start(self) -> None:
        """Ask the server for its models. Raises BackendError while it is not there, ConfigError when it
        lacks a configured model."""
        plain = await self._whole(b"GET", b"/models")
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

    async def stop(self) -> None:
        self._pool.close()

    def cards(self) -> Sequence[ModelCard]:
        return self._cards

    def pids(self) -> Sequence[int]:
        return ()

    async def generate(self, request: Generation) -> AsyncGenerator[Piece, None]:
        """Raises BackendRefusal with the server's own status, BackendError when there is no answer."""
        path, body = _request(request, self._name(request.model))
        response = await self._pool.request(b"POST", self._path + path, self._headers, body)
        try:
            if response.status != 200:
                raise await self._refusal(response)
            if b"event-stream" not in response.headers.get(b"content-type", b""):
                raise self._odd("a stream", await response.read(MAX_ANSWER_BYTES))
            finish: str | None = None
            usage: TokenUsage | None = None
            done = False
            async with aclosing(self._events(response)) as events:
                async for event in events:
                    if event is None:
                        done = True
                        break
                    if "error" in event:
                        raise self._failure(event["error"], 502)
                    text, delta, reason, counted = _parts(event)
                    finish = reason or finish
                    usage = counted or usage
                    if text or delta:
                        yield Piece(text=text, delta=delta)
            if finish is None or not done:
                raise BackendError(
                    "the server's stream ended before its answer did", where=self._pool.where
                )
            if usage is None:
                raise BackendError(
                    "the server's stream came without usage, so nothing can be accounted",
                    where=self._pool.where,
                    hint="use a server that keeps stream_options.include_usage",
                )
            # No compute_s: what it took elsewhere is not in the energy that is metered here.
            yield Piece(finish_reason=finish, usage=usage)
            await _drained(response)
        finally:
            response.close()

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        there = self._name(model)
        body = orjson.dumps({"model": there, "input": list(texts), "encoding_format": "float"})
        plain = await self._whole(b"POST", b"/embeddings", body)
        try:
            rows = sorted(plain["data"], key=lambda row: row["index"])
            vectors = [_vector(row["embedding"]) for row in rows]
            prompt_tokens = _whole_number(plain["usage"]["prompt_tokens"])
        except (KeyError, TypeError, ValueError):
            raise self._odd("embeddings") from None
        if len(vectors) != len(texts):
            raise self._odd(f"{len(texts)} embeddings, but {len(vectors)}")
        return Embeddings(vectors, prompt_tokens)

    def _name(self, model: str) -> str:
        try:
            return self._names[model]
        except KeyError:
            raise UnknownName("model", model, self._names) from None

    async def _whole(self, method: bytes, path: bytes, body: bytes = b"") -> Any:
        response = await self._pool.request(method, self._path + path, self._headers, body)
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

    async def _events(self, response: Response) -> AsyncGenerator[dict[str, Any] | None, None]:
        """The `data:` events of a stream; None for `[DONE]`."""
        rest = b""
        async for part in response:
            lines = (rest + part).split(b"\n")
            rest = lines.pop()
            if len(rest) > MAX_EVENT_BYTES:
                raise self._odd("events of a sane length")
            for line in lines:
                if not line.startswith(b"data:"):
                    continue  # a comment, an event name, or the empty line that ends an event
                data = line[5:].strip()
                if data == b"[DONE]":
                    yield None
                    continue
                try:
                    event = orjson.loads(data)
                except orjson.JSONDecodeError:
                    raise self._odd("JSON events", data) from None
                if not isinstance(event, dict):
                    raise self._odd("JSON objects", data)
                yield event

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


async def _drained(response: Response) -> None:
    """Read what follows `[DONE]` (the end of the last chunk), so that the connection can be kept."""
    with contextlib.suppress(BackendError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in response:
                pass


def _request(request: Generation, model: str) -> tuple[bytes, bytes]:
    """Path and body. Always a stream: it is the form in which a client that left can be noticed."""
    body: dict[str, Any] = {
        **request.extra,
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop)
    if request.messages is not None:
        body["messages"] = [_message(message) for message in request.messages]
        return b"/chat/completions", orjson.dumps(body)
    body["prompt"] = request.prompt
    return b"/completions", orjson.dumps(body)


def _message(message: Message) -> dict[str, Any]:
    return {**message.extra, "role": message.role, "content": message.content}


def _parts(
    event: dict[str, Any],
) -> tuple[str, dict[str, Any] | None, str | None, TokenUsage | None]:
    """Text, the rest of the delta, finish reason and usage of one chunk of either protocol."""
    text, rest, reason, usage = "", None, None, None
    choices = event.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice = choices[0]
        delta = choice.get("delta")
        said = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        text = said if isinstance(said, str) else ""
        if isinstance(delta, dict):
            known = ("role", "content")
            rest = {k: v for k, v in delta.items() if k not in known and v is not None} or None
        given = choice.get("finish_reason")
        reason = given if isinstance(given, str) else None
    counted = event.get("usage")
    if isinstance(counted, dict):
        details = counted.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        usage = TokenUsage(
            _whole_number(counted.get("prompt_tokens")),
            _whole_number(counted.get("completion_tokens")),
            _whole_number(cached),
        )
    return text, rest, reason, usage


def _whole_number(value: Any) -> int:
    """A count that a ledger can hold; whatever else a server claims is none."""
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


def _vector(given: Any) -> list[float]:
    """Floats, from a list or from base64 of little-endian float32."""
    if isinstance(given, str):
        values = array("f", base64.b64decode(given, validate=True))
        if byteorder == "big":
            values.byteswap()
        return values.tolist()
    return [float(value) for value in given]


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
