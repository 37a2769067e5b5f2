"""Answers of OpenAI's `/v1/responses` out of chat answers: the response object and its items.

It knows no streams, no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.errors import BackendError
from tenfold.serve.protocols.blocks import CALL, REASONING, REFUSAL, Block, blocks_of
from tenfold.serve.protocols.place import MISSHAPEN

_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": None,
    "top_p": None,
    "truncation": "disabled",
}
"""What a response says again of its request, and what it says where the request is silent."""
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def from_chat(answer: Mapping[str, Any], request: Mapping[str, Any], id: str) -> bytes:
    """The response that says what a chat answer says. Raises BackendError when it is no chat answer."""
    try:
        return _response(answer, request, id)
    except MISSHAPEN:
        raise BackendError("the server did not answer with a chat completion") from None


def _response(answer: Mapping[str, Any], request: Mapping[str, Any], id: str) -> bytes:
    choice = answer["choices"][0]
    blocks = blocks_of(choice, id)
    reason = choice.get("finish_reason")
    items = [
        item(
            block,
            item_id(block, id, index),
            status_of(reason) if index == len(blocks) - 1 else "completed",
        )
        for index, block in enumerate(blocks)
    ]
    envelope = response(request, id, answer.get("model"), answer.get("created"))
    return orjson.dumps({**envelope, **ending(reason, items, answer.get("usage"))})


def response(request: Mapping[str, Any], id: str, model: Any, created_s: Any) -> dict[str, Any]:
    """A response of which nothing has been said yet."""
    plain: dict[str, Any] = {
        "id": id,
        "object": "response",
        "created_at": created_s if isinstance(created_s, int) else 0,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model or request.get("model"),
        "output": [],
        "previous_response_id": None,
        "usage": None,
    }
    for name, default in _ECHOED.items():
        said = request.get(name)
        plain[name] = default if said is None else said
    plain["tools"] = [
        {"description": None, "parameters": None, "strict": None, **tool}
        for tool in request.get("tools") or ()
    ]
    return plain


def status_of(reason: Any) -> str:
    return "incomplete" if reason in _INCOMPLETE else "completed"


def ending(reason: Any, items: list[dict[str, Any]], usage: Any) -> dict[str, Any]:
    """The members of a response that are known at its end."""
    why = _INCOMPLETE.get(reason)
    return {
        "status": status_of(reason),
        "incomplete_details": None if why is None else {"reason": why},
        "output": items,
        "usage": usage_of(usage),
    }


def item_id(block: Block, id: str, index: int) -> str:
    kind = {CALL: "fc", REASONING: "rs"}.get(block.kind, "msg")
    return f"{kind}_{id.rpartition('_')[2]}_{index}"


def item(block: Block, id: str, status: str) -> dict[str, Any]:
    """A block as an item that is through, one way or another."""
    if block.kind == CALL:
        return {
            "id": id,
            "type": "function_call",
            "status": status,
            "arguments": block.text or "{}",
            "call_id": block.id,
            "name": block.name,
        }
    if block.kind == REASONING:
        return {"id": id, "type": "reasoning", "summary": [], "content": [part(block)]}
    return {
        "id": id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part(block)],
    }


def part(block: Block) -> dict[str, Any]:
    if block.kind == REASONING:
        return {"type": "reasoning_text", "text": block.text}
    if block.kind == REFUSAL:
        return {"type": "refusal", "refusal": block.text}
    return {
        "type": "output_text",
        "text": block.text,
        "annotations": [],
        "logprobs": [
            {**_logprob(told), "top_logprobs": [*map(_logprob, told.get("top_logprobs") or ())]}
            for told in block.logprobs
        ],
    }


def _logprob(told: Mapping[str, Any]) -> dict[str, Any]:
    token = told.get("token") or ""
    spelled = told.get("bytes")
    return {
        "token": token,
        "bytes": [*token.encode()] if spelled is None else spelled,
        "logprob": told.get("logprob"),
    }


def usage_of(usage: Any) -> dict[str, Any] | None:
    """None when the server did not count."""
    if not isinstance(usage, dict):
        return None
    given, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": _count(usage.get("prompt_tokens_details"), "cached_tokens"),
            "cache_write_tokens": 0,
        },
        "output_tokens": made,
        "output_tokens_details": {
            "reasoning_tokens": _count(usage.get("completion_tokens_details"), "reasoning_tokens")
        },
        "total_tokens": given + made,
    }


def _count(counts: Any, name: str) -> int:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
