"""Anthropic's API as a backend. Messages go there byte for byte; chat requests are translated, and their
answers come back as chat completions. It knows no tiers.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from tenfold.errors import BackendError, ConfigError
from tenfold.serve.backends.base import Answer, Call
from tenfold.serve.backends.http_pool import PoolConfig
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.protocols.anthropic_answer import ChatChunks, to_chat_answer
from tenfold.serve.protocols.anthropic_request import to_messages
from tenfold.serve.protocols.watch import watch

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
NATIVE = frozenset({MESSAGES, "/v1/messages/count_tokens"})
VERSION = b"2023-06-01"
"""Of the protocol; there has been no newer one."""
_OURS = frozenset({b"anthropic-version", b"openai-beta", b"openai-organization", b"openai-project"})
"""Headers of a client that do not travel on: what we say ourselves, and what is meant for OpenAI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicConfig:
    base_url: str = "https://api.anthropic.com/v1"
    api_key: str | None = field(default=None, repr=False)
    """Sent as `x-api-key`; never logged."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Name here -> name there. Empty: every model the server lists, under its own name."""
    max_tokens: int = 4096
    """For chat requests that set no limit, 1 or more: Messages has to have one."""
    pool: PoolConfig = field(default_factory=PoolConfig)

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError("max_tokens must be 1 or more", seen=self.max_tokens)


class AnthropicBackend(OpenAIBackend):
    """Answers with a server that speaks Anthropic's messages."""

    models_path = b"/models?limit=1000"

    def __init__(
        self, config: AnthropicConfig, *, name: str = "anthropic", tls: ssl.SSLContext | None = None
    ) -> None:
        self._max_tokens = config.max_tokens
        http = OpenAIConfig(
            base_url=config.base_url,
            api_key=config.api_key,
            models=config.models,
            speaks=NATIVE,
            pool=config.pool,
        )
        super().__init__(http, name=name, tls=tls)
        self.speaks = NATIVE | {CHAT}

    async def open(self, call: Call) -> Answer:
        """Raises Refusal (400) as well, for what a chat request cannot ask of a message."""
        headers = tuple(header for header in call.headers if header[0] not in _OURS)
        endpoint, plain, body = call.endpoint, call.plain, call.body
        if call.endpoint == CHAT:
            plain = to_messages(plain, max_tokens=self._max_tokens)
            plain["model"] = self._name(call.model)
            endpoint, body = MESSAGES, orjson.dumps(plain)
        answer = await super().open(
            Call(
                call.id,
                endpoint,
                call.model,
                body,
                plain,
                stream=call.stream,
                headers=headers,
                deadline=call.deadline,
            )
        )
        return Rechatted(answer, int(time.time())) if call.endpoint == CHAT else answer

    def _credentials(self, config: OpenAIConfig) -> Sequence[tuple[bytes, bytes]]:
        version = (b"anthropic-version", VERSION)
        return ((b"x-api-key", config.api_key.encode()), version) if config.api_key else (version,)


class Rechatted:
    """A message on its way through, as a chat completion."""

    def __init__(self, answer: Answer, created_s: int) -> None:
        self.stream = answer.stream
        self._watch = watch(CHAT)
        self.outcome = self._watch.outcome
        self._answer = answer
        self._created_s = created_s

    def close(self) -> None:
        self._answer.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = ChatChunks(self._created_s)
        try:
            async for part in self._answer:
                if self.stream:
                    said = chunks.feed(part)
                    self._watch.events(said)
                else:
                    said = to_chat_answer(_object(part), self._created_s)
                    self._watch.whole(said)
                if said:
                    yield said
                if chunks.failure is not None:
                    raise chunks.failure
        finally:
            self._answer.close()


def _object(body: bytes) -> dict[str, object]:
    plain = orjson.loads(body)
    if not isinstance(plain, dict):
        raise BackendError("the server did not answer with a message", seen=body[:200])
    return plain
