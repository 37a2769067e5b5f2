"""Chat messages as the turns and content blocks of Anthropic's messages.

What Messages has no words for is refused with its place. It knows no other part of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from tenfold.serve.protocols.place import typed, untranslatable
from tenfold.serve.refusal import Refusal

Blocks = list[dict[str, Any]]


class Called(msgspec.Struct):
    name: str
    arguments: str


class ToolCall(msgspec.Struct):
    id: str
    function: Called


def turns_of(messages: list[dict[str, Any]]) -> tuple[str | Blocks, list[dict[str, Any]]]:
    """The system prompt, empty if there is none, and the turns. Results of tools and what the user says
    next are one turn."""
    system: Blocks = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        at, role = f"messages[{index}]", message["role"]
        if message.get("name"):
            raise untranslatable(f"{at}.name", "cannot be told to this model.")
        if role in ("system", "developer"):
            blocks = _blocks(message.get("content"), f"{at}.content")
            if turns:
                turns.append({"role": "system", "content": _short(blocks)})
            else:
                system += blocks
        elif role == "user":
            blocks = _blocks(message.get("content"), f"{at}.content")
            if turns and turns[-1]["role"] == "user" and _results(turns[-1]["content"]):
                turns[-1]["content"] += blocks
            else:
                turns.append({"role": "user", "content": _short(blocks)})
        elif role == "assistant":
            turns.append({"role": "assistant", "content": _short(_answered(message, at))})
        elif role == "tool":
            result = {
                "type": "tool_result",
                "tool_use_id": typed(message.get("tool_call_id"), str, f"{at}.tool_call_id"),
                "content": _short(_blocks(message.get("content"), f"{at}.content")),
            }
            if turns and turns[-1]["role"] == "user" and _results(turns[-1]["content"]):
                turns[-1]["content"].append(result)
            else:
                turns.append({"role": "user", "content": [result]})
        else:
            raise untranslatable(f"{at}.role", f"is `{role}`, which this model does not know.")
    return _short(system) if system else "", turns


def _results(content: Any) -> bool:
    """Whether a turn holds results of tools and nothing else yet."""
    return isinstance(content, list) and all(block["type"] == "tool_result" for block in content)


def _short(blocks: Blocks) -> str | Blocks:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _answered(message: Mapping[str, Any], at: str) -> Blocks:
    for name in ("audio", "function_call"):
        if message.get(name):
            raise untranslatable(f"{at}.{name}", "cannot be told to this model.")
    # Thinking can only go back with the signature it came with (`anthropic_answer`). Without one it stays
    # behind, as Anthropic itself does with the thinking of earlier turns.
    given = message.get("thinking_blocks") or []
    blocks: Blocks = list(typed(given, list[dict[str, Any]], f"{at}.thinking_blocks"))
    said = _blocks(message.get("content") or "", f"{at}.content")
    calls = typed(message.get("tool_calls") or [], list[dict[str, Any]], f"{at}.tool_calls")
    refusal = message.get("refusal")
    if refusal:
        said = [{"type": "text", "text": typed(refusal, str, f"{at}.refusal")}]
    if calls:
        said = [block for block in said if block.get("text") != ""]  # empty text is refused there
    blocks += said
    for number, call in enumerate(calls):
        place = f"{at}.tool_calls[{number}]"
        if call.get("type") not in (None, "function"):
            raise untranslatable(f"{place}.type", "must be `function` for this model.")
        blocks.append(_use(typed(call, ToolCall, place), place))
    return blocks


def _use(call: ToolCall, at: str) -> dict[str, Any]:
    try:
        given = orjson.loads(call.function.arguments or "{}")
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise untranslatable(f"{at}.function.arguments", "must be a JSON object for this model.")
    return {"type": "tool_use", "id": call.id, "name": call.function.name, "input": given}


def _blocks(content: Any, at: str) -> Blocks:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    parts = typed(content, list[dict[str, Any]], at)
    return [_block(part, f"{at}[{number}]") for number, part in enumerate(parts)]


def _block(part: Mapping[str, Any], at: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        typed(part.get("text"), str, f"{at}.text")
        return dict(part)
    if kind == "refusal":
        return {"type": "text", "text": typed(part.get("refusal"), str, f"{at}.refusal")}
    if kind == "image_url":
        image = typed(part.get("image_url"), dict[str, Any], f"{at}.image_url")
        url = typed(image.get("url"), str, f"{at}.image_url.url")
        if not url.startswith("data:"):
            return {"type": "image", "source": {"type": "url", "url": url}}
        return {"type": "image", "source": _source(url, f"{at}.image_url.url")}
    if kind == "file":
        file = typed(part.get("file"), dict[str, Any], f"{at}.file")
        data = typed(file.get("file_data"), str, f"{at}.file.file_data")
        made = {"type": "document", "source": _source(data, f"{at}.file.file_data")}
        if file.get("filename"):
            made["title"] = file["filename"]
        return made
    raise _unknown(kind, at)


def _source(url: str, at: str) -> dict[str, Any]:
    """What a `data:` URL holds."""
    media_type, mark, data = url.removeprefix("data:").partition(";base64,")
    if not mark:
        raise untranslatable(at, "must be a `data:` URL in base64.")
    return {"type": "base64", "media_type": media_type, "data": data}


def _unknown(kind: Any, at: str) -> Refusal:
    return untranslatable(f"{at}.type", f"is `{kind}`, which this model cannot be given.")
