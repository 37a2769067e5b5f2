"""`/v1/responses`, OpenAI's newer protocol: its request fields.

What is inside items and tools is read where it is translated (`responses_request`): a backend that speaks
the protocol itself gets the bytes as they are. It knows no backend and no tier.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import orjson

from tenfold.serve.protocols.ask import Ask, Count, Mass, OpenAIErrors, Temperature, decode
from tenfold.serve.protocols.responses_answer import from_chat
from tenfold.serve.protocols.responses_request import to_chat
from tenfold.serve.protocols.responses_stream import ResponsesStream
from tenfold.serve.refusal import Refusal


class ResponsesRequest(msgspec.Struct, kw_only=True):
    model: str
    input: str | Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Mass | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    stream: bool | None = None


class Responses(OpenAIErrors):
    """The protocol of `client.responses`."""

    endpoint = "/v1/responses"
    prefix = "resp_"
    prompt = "input"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, ResponsesRequest)
        return Ask(
            self.endpoint,
            request.model,
            body,
            plain,
            request,
            stream=bool(request.stream),
            include_usage=True,
            max_tokens=request.max_output_tokens,
            side_effects=bool(plain.get("background"))
            or any(tool.get("type") != "function" for tool in request.tools or ()),
        )

    def broken(self, refusal: Refusal, id: str) -> bytes:
        """The event that OpenAI's own servers end a broken stream with."""
        told = {**refusal.error(), "type": "error", "sequence_number": 0}
        return b"event: error\ndata: %b\n\n" % orjson.dumps(told)

    to_chat = staticmethod(to_chat)
    from_chat = staticmethod(from_chat)
    stream = ResponsesStream
