"""`/v1/messages`, Anthropic's protocol: its request fields and the shape of its errors.

What is inside messages and tools is read where it is translated (`messages_request`): a backend that speaks
the protocol itself gets the bytes as they are. It knows no backend and no tier.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tenfold.serve.protocols.ask import Ask, Count, Mass, Temperature, decode
from tenfold.serve.protocols.messages_answer import from_chat
from tenfold.serve.protocols.messages_error import error_body, error_event
from tenfold.serve.protocols.messages_request import to_chat
from tenfold.serve.protocols.messages_stream import MessagesStream
from tenfold.serve.refusal import Refusal


class Turn(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class Prompted(msgspec.Struct, kw_only=True):
    """What makes up a prompt."""

    model: str
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1, max_length=100_000)]
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None


class MessagesRequest(Prompted, kw_only=True):
    max_tokens: Count
    metadata: dict[str, Any] | None = None
    stop_sequences: list[Annotated[str, msgspec.Meta(min_length=1)]] | None = None
    temperature: Temperature | None = None
    top_p: Mass | None = None
    top_k: int | None = None
    stream: bool | None = None


class Messages:
    """The protocol of Anthropic's clients."""

    endpoint = "/v1/messages"
    prefix = "msg_"
    prompt = "messages"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, MessagesRequest)
        return Ask(
            self.endpoint,
            request.model,
            body,
            plain,
            request,
            stream=bool(request.stream),
            include_usage=True,
            max_tokens=request.max_tokens,
        )

    def refused(self, refusal: Refusal, id: str) -> bytes:
        return error_body(refusal, id)

    def broken(self, refusal: Refusal, id: str) -> bytes:
        return error_event(refusal, id)

    to_chat = staticmethod(to_chat)
    from_chat = staticmethod(from_chat)
    stream = MessagesStream
