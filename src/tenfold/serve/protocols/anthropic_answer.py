"""Answers of Anthropic's servers in the words of chat completions: whole, and as chunks.

Thinking comes twice: as `reasoning_content`, for people, and with its signature as `thinking_blocks`, which a
client sends back as they are so that a model can go on thinking between two calls. It knows no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.errors import BackendError
from tenfold.serve.backends.base import BackendRefusal
from tenfold.serve.protocols.place import MISSHAPEN
from tenfold.serve.protocols.watch import data_of, events_of

FINISH_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STATUSES = {
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "request_too_large": 413,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def to_chat_answer(message: Mapping[str, Any], created_s: int) -> bytes:
    """The chat completion that says what a message says. Raises BackendError when it is no message."""
    try:
        return _chat_answer(message, created_s)
    except MISSHAPEN:
        raise BackendError("the server did not answer with a message") from None


def _chat_answer(message: Mapping[str, Any], created_s: int) -> bytes:
    text, reasoning = [], []
    said: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    for block in message["content"]:
        kind = block["type"]
        if kind == "text":
            text.append(block["text"])
        elif kind == "tool_use":
            said.setdefault("tool_calls", []).append(_call(block, orjson.dumps(block["input"])))
        elif kind in ("thinking", "redacted_thinking"):
            said.setdefault("thinking_blocks", []).append(block)
            reasoning.append(block.get("thinking") or "")
        else:
            raise _beyond(kind)
    if text or "tool_calls" not in said:
        said["content"] = "".join(text)
    if any(reasoning):
        said["reasoning_content"] = "".join(reasoning)
    choice = {"index": 0, "message": said, "logprobs": None, **_ending(message)}
    return orjson.dumps(
        {
            "id": message.get("id"),
            "object": "chat.completion",
            "created": created_s,
            "model": message.get("model"),
            "choices": [choice],
            "usage": usage_of(message.get("usage") or {}),
        }
    )


class ChatChunks:
    """One stream. `feed` wants whole events, and raises nothing: what was said before a failure is said."""

    def __init__(self, created_s: int) -> None:
        self.failure: BackendError | None = None
        """Why nothing more will come: an error of the server's own, or an event that is none."""
        self._created_s = created_s
        self._head = b""
        self._usage: dict[str, Any] = {}
        self._num_calls = 0
        self._block: dict[str, Any] = {}
        """The one that is open."""
        self._pieces: list[str] = []

    def feed(self, part: bytes) -> bytes:
        out: list[bytes] = []
        for event in events_of(part):
            data = data_of(event)
            if data and self.failure is None:
                try:
                    out.append(self._event(orjson.loads(data)))
                except BackendError as error:
                    self.failure = error
                except MISSHAPEN:
                    self.failure = BackendError(
                        "the server sent an event that is none", seen=event[:200]
                    )
        return b"".join(out)

    def _event(self, event: Mapping[str, Any]) -> bytes:
        kind = event["type"]
        if kind == "content_block_delta":
            return self._delta(event["delta"])
        if kind == "content_block_start":
            return self._opened(event["content_block"])
        if kind == "content_block_stop":
            return self._shut()
        if kind == "message_start":
            return self._begun(event["message"])
        if kind == "message_delta":
            self._usage.update(
                {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
            )
            return self._chunk({}, **_ending(event["delta"]))
        if kind == "message_stop":
            usage = orjson.dumps(usage_of(self._usage))
            return b'%b[],"usage":%b}\n\ndata: [DONE]\n\n' % (self._head, usage)
        if kind == "error":
            raise _failure(event["error"])
        return b""  # ping, and what is yet to be invented

    def _begun(self, message: Mapping[str, Any]) -> bytes:
        self._usage = dict(message.get("usage") or {})
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":'
            % (
                orjson.dumps(message.get("id")),
                self._created_s,
                orjson.dumps(message.get("model")),
            )
        )
        return self._chunk({"role": "assistant", "content": ""})

    def _opened(self, block: dict[str, Any]) -> bytes:
        self._block, self._pieces = block, []
        kind = block["type"]
        if kind == "tool_use":
            call = _call(block, b"")
            return self._chunk({"tool_calls": [{"index": self._num_calls, **call}]})
        if kind == "text":
            return self._text(block["text"]) if block.get("text") else b""
        if kind not in ("thinking", "redacted_thinking"):
            raise _beyond(kind)
        return b""

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        kind = delta["type"]
        if kind == "text_delta":
            return self._text(delta["text"])
        if kind == "thinking_delta":
            self._pieces.append(delta["thinking"])
            return self._chunk({"reasoning_content": delta["thinking"]})
        if kind == "input_json_delta":
            piece = delta["partial_json"]
            if not piece:
                return b""
            self._pieces.append(piece)
            return self._arguments(piece)
        if kind == "signature_delta":
            self._block["signature"] = delta["signature"]
        return b""

    def _shut(self) -> bytes:
        block, pieces = self._block, self._pieces
        self._block = {}
        kind = block.get("type")
        if kind == "tool_use":
            said = b"" if pieces else self._arguments(orjson.dumps(block["input"]).decode())
            self._num_calls += 1
            return said
        if kind == "thinking":
            block["thinking"] = (block.get("thinking") or "") + "".join(pieces)
        return self._chunk({"thinking_blocks": [block]}) if "thinking" in str(kind) else b""

    def _text(self, text: str) -> bytes:
        return (
            b'%b[{"index":0,"delta":{"content":%b},"logprobs":null,"finish_reason":null}]}\n\n'
            % (
                self._head,
                orjson.dumps(text),
            )
        )

    def _arguments(self, piece: str) -> bytes:
        call = {"index": self._num_calls, "function": {"arguments": piece}}
        return self._chunk({"tool_calls": [call]})

    def _chunk(
        self, delta: Mapping[str, Any], finish_reason: str | None = None, **more: Any
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
            **more,
        }
        return b"%b%b}\n\n" % (self._head, orjson.dumps([choice]))


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens read from and written to a cache are beside `input_tokens`, and in chat's `prompt_tokens`."""
    read = _count(usage, "cache_read_input_tokens")
    prompt = _count(usage, "input_tokens") + read + _count(usage, "cache_creation_input_tokens")
    made = _count(usage, "output_tokens")
    told = {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": {"cached_tokens": read},
    }
    details = usage.get("output_tokens_details")
    if isinstance(details, dict):
        thought = _count(details, "thinking_tokens")
        told["completion_tokens_details"] = {"reasoning_tokens": thought}
    return told


def _call(block: Mapping[str, Any], arguments: bytes) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": arguments.decode()}
    return {"id": block["id"], "type": "function", "function": function}


def _ending(delta: Mapping[str, Any]) -> dict[str, Any]:
    reason = delta.get("stop_reason")
    told = {"finish_reason": FINISH_REASONS.get(str(reason), "stop")}
    if delta.get("stop_sequence") is not None:
        told["stop_reason"] = delta["stop_sequence"]  # as vLLM tells it
    return told


def _failure(error: Mapping[str, Any]) -> BackendRefusal:
    kind = error.get("type")
    return BackendRefusal(
        str(error.get("message") or "no reason given")[:2000],
        status=_STATUSES.get(str(kind), 502),
        code=None if kind is None else str(kind),
    )


def _beyond(kind: Any) -> BackendError:
    return BackendError(f"the server answered with a block of type {kind!r}, which chat cannot say")


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0
