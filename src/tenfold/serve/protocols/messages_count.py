"""`/v1/messages/count_tokens`: how many tokens a message's prompt has.

Only the model's own server knows its tokens and its template. So it is asked for an answer of one token, and
what it says about the prompt is the count: exact, for the price of a prompt that the real question then finds
in the server's cache. It knows no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.errors import BackendError
from tenfold.serve.protocols.ask import Ask, decode
from tenfold.serve.protocols.messages import Messages, Prompted
from tenfold.serve.protocols.messages_answer import prompt_tokens
from tenfold.serve.protocols.messages_request import to_chat


class MessagesCount(Messages):
    """Never a stream."""

    endpoint = "/v1/messages/count_tokens"
    prefix = "count_"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, Prompted)
        return Ask(self.endpoint, request.model, body, plain, request, max_tokens=1)

    @staticmethod
    def to_chat(plain: Mapping[str, Any], *, limit: str = "max_tokens") -> dict[str, Any]:
        chat = to_chat({**plain, "max_tokens": 1, "stream": False}, limit=limit)
        chat.pop("reasoning_effort", None)  # there is nothing to think about
        return {**chat, "temperature": 0}

    @staticmethod
    def from_chat(answer: Mapping[str, Any], request: Mapping[str, Any], id: str) -> bytes:
        usage = answer.get("usage") if isinstance(answer, Mapping) else None
        if not isinstance(usage, dict):
            raise BackendError("the server did not count the tokens of the prompt")
        return orjson.dumps({"input_tokens": prompt_tokens(usage)})
