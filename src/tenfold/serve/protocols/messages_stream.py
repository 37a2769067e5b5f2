"""The stream of `/v1/messages`: chat chunks in, Anthropic's events out, each as soon as its chunk came.

It knows no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.serve.protocols.blocks import CALL, REASONING, REFUSAL, Block, BlockStream
from tenfold.serve.protocols.messages_answer import ending, message, usage_of, wants_thinking
from tenfold.serve.protocols.messages_error import error_event
from tenfold.serve.refusal import Refusal

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
"""May stand anywhere between two events; keeps a silent connection open."""

_DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
_KINDS = {REASONING: (b"thinking_delta", b"thinking"), CALL: (b"input_json_delta", b"partial_json")}


class MessagesStream(BlockStream):
    """One answer. Tokens of the prompt are known at its end only: `message_delta` tells them."""

    def __init__(self, request: Mapping[str, Any], id: str) -> None:
        super().__init__(id)
        self.wants_reasoning = wants_thinking(request)
        self._request = request
        self._index = -1
        self._delta = b""
        self._called = False
        self._refused = False

    def _begin(self, chunk: Mapping[str, Any]) -> bytes:
        model = chunk.get("model") or self._request.get("model")
        start = message(self._id, str(model), [], usage_of(chunk.get("usage")))
        return _event(b"message_start", {"message": start}) + PING

    def _opened(self, block: Block) -> bytes:
        self._index += 1
        said: dict[str, Any] = {"type": "text", "text": ""}
        if block.kind == CALL:
            self._called = True
            said = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
        elif block.kind == REASONING:
            said = {"type": "thinking", "thinking": "", "signature": ""}
        elif block.kind == REFUSAL:
            self._refused = True
        self._delta = _DELTA % (self._index, *_KINDS.get(block.kind, (b"text_delta", b"text")))
        return _event(b"content_block_start", {"index": self._index, "content_block": said})

    def _grown(self, block: Block, piece: str, logprobs: Any) -> bytes:
        return self._delta + orjson.dumps(piece) + b"}}\n\n"

    def _shut(self, block: Block) -> bytes:
        return (
            b"event: content_block_stop\n"
            b'data: {"type":"content_block_stop","index":%d}\n\n' % self._index
        )

    def _finish(self) -> bytes:
        delta = ending(
            self._finish_reason,
            self._request,
            self._matched,
            called=self._called,
            refused=self._refused,
        )
        return (
            _event(b"message_delta", {"delta": delta, "usage": usage_of(self._usage)})
            + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        )

    def _failed(self, refusal: Refusal) -> bytes:
        return error_event(refusal, self._id)


def _event(kind: bytes, members: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind, orjson.dumps({"type": kind.decode(), **members}))
