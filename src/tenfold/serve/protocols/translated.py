"""Protocols in front of backends that speak only chat completions: the request goes there as a chat request,
the answer comes back in the client's own words, part by part. It knows no sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, runtime_checkable

import orjson

from tenfold.serve.backends.base import Answer
from tenfold.serve.protocols.ask import Ask
from tenfold.serve.protocols.chat import Chat


class Translation(Protocol):
    """A stream being translated."""

    failed: bool
    """It could not be translated to its end, and says so in its last event."""

    def feed(self, part: bytes) -> bytes: ...

    def end(self) -> bytes: ...


@runtime_checkable
class Translating(Protocol):
    """A dialect that can be said in chat completions."""

    def to_chat(self, plain: Mapping[str, Any]) -> dict[str, Any]: ...

    def from_chat(
        self, answer: Mapping[str, Any], request: Mapping[str, Any], id: str
    ) -> bytes: ...

    def stream(self, request: Mapping[str, Any], id: str) -> Translation: ...


def chat_ask(dialect: Translating, ask: Ask, chat: Chat) -> Ask:
    """The request in chat completions. Raises Refusal naming what cannot be said there."""
    plain = dialect.to_chat(ask.plain)
    if ask.stream:
        plain["stream_options"] = {"include_usage": True}
    return chat.read(orjson.dumps(plain))


class Translated:
    """A chat answer in the words of another protocol."""

    def __init__(self, answer: Answer, dialect: Translating, ask: Ask, id: str) -> None:
        self.stream = answer.stream
        self.outcome = answer.outcome
        self._answer = answer
        self._dialect = dialect
        self._ask = ask
        self._id = id

    def close(self) -> None:
        self._answer.close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._events() if self.stream else self._body()

    async def _body(self) -> AsyncIterator[bytes]:
        async for body in self._answer:
            self.outcome.response_id = self._id
            yield self._dialect.from_chat(orjson.loads(body), self._ask.plain, self._id)

    async def _events(self) -> AsyncIterator[bytes]:
        translation = self._dialect.stream(self._ask.plain, self._id)
        async for part in self._answer:
            said = translation.feed(part)
            if said:
                yield said
        rest = translation.end()
        if translation.failed:
            self.outcome.complete = False  # whatever the server says: this is nothing to keep
        self.outcome.response_id = self._id
        # In these protocols usage is part of events that every client gets.
        self.outcome.usage_event = b""
        if rest:
            yield rest
