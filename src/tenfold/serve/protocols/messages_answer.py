"""Answers of Anthropic's `/v1/messages` out of chat answers: the whole message, and the words both forms use.

It knows no streams, no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.errors import BackendError
from tenfold.serve.protocols.blocks import CALL, REASONING, REFUSAL, Block, blocks_of, matched_stop
from tenfold.serve.protocols.place import MISSHAPEN

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def from_chat(answer: Mapping[str, Any], request: Mapping[str, Any], id: str) -> bytes:
    """The message that says what a chat answer says. Raises BackendError when it is no chat answer."""
    try:
        return _message(answer, request, id)
    except MISSHAPEN:
        raise BackendError("the server did not answer with a chat completion") from None


def _message(answer: Mapping[str, Any], request: Mapping[str, Any], id: str) -> bytes:
    choice = answer["choices"][0]
    blocks = blocks_of(choice, id)
    reason = choice.get("finish_reason")
    shown = wants_thinking(request)
    content = [_block(block, reason) for block in blocks if shown or block.kind != REASONING]
    plain = message(
        id,
        str(answer.get("model") or request.get("model")),
        content,
        usage_of(answer.get("usage")),
    )
    plain.update(
        ending(
            reason,
            request,
            matched_stop(choice),
            called=any(block.kind == CALL for block in blocks),
            refused=any(block.kind == REFUSAL for block in blocks),
        )
    )
    return orjson.dumps(plain)


def message(id: str, model: str, content: list[Any], usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def ending(
    reason: Any, request: Mapping[str, Any], matched: str | None, *, called: bool, refused: bool
) -> dict[str, Any]:
    """Why it ended. A call is a call even where the server says `stop`, as OpenAI does for a tool it was
    told to use."""
    stop_reason = STOP_REASONS.get(reason, "end_turn")
    if refused:
        stop_reason = "refusal"
    elif called and stop_reason == "end_turn":
        stop_reason = "tool_use"
    elif stop_reason == "end_turn" and matched and matched in (request.get("stop_sequences") or ()):
        return {"stop_reason": "stop_sequence", "stop_sequence": matched}
    return {"stop_reason": stop_reason, "stop_sequence": None}


def usage_of(usage: Any) -> dict[str, Any]:
    """Prompt tokens read from a cache are in chat's `prompt_tokens`, and beside `input_tokens` here."""
    said: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    prompt, cached = prompt_tokens(said), 0
    details = said.get("prompt_tokens_details")
    if isinstance(details, dict):
        cached = min(prompt, _count(details, "cached_tokens"))
    told: dict[str, Any] = {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": _count(said, "completion_tokens"),
    }
    details = said.get("completion_tokens_details")
    if isinstance(details, dict) and details.get("reasoning_tokens") is not None:
        told["output_tokens_details"] = {"thinking_tokens": _count(details, "reasoning_tokens")}
    return told


def wants_thinking(request: Mapping[str, Any]) -> bool:
    """Whether thinking is shown. Clients that did not ask for it take the first block for the answer."""
    thinking = request.get("thinking")
    return (
        isinstance(thinking, dict)
        and thinking.get("type") != "disabled"
        and thinking.get("display") != "omitted"
    )


def _block(block: Block, reason: Any) -> dict[str, Any]:
    if block.kind == REASONING:
        return {"type": "thinking", "thinking": block.text, "signature": ""}
    if block.kind == CALL:
        return {
            "type": "tool_use",
            "id": block.id,
            "name": block.name,
            "input": _input(block, reason),
        }
    return {"type": "text", "text": block.text}


def _input(block: Block, reason: Any) -> Any:
    """A call's arguments as a value. Cut off by the token limit they are none; `max_tokens` says so."""
    if not block.text.strip():
        return {}
    try:
        value = orjson.loads(block.text)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        return value
    if reason == "length":
        return {}
    raise BackendError(
        f"the model called `{block.name}` with arguments that are no JSON object",
        seen=block.text[:200],
    )


def prompt_tokens(usage: Mapping[str, Any]) -> int:
    return _count(usage, "prompt_tokens")


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0
