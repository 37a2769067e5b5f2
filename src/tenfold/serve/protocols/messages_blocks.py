"""Content blocks of Anthropic's messages as chat messages: text, images, documents, calls and their results.

Every block that chat has no words for is refused with its place. It knows no other part of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from tenfold.serve.protocols.place import text_of, typed, untranslatable
from tenfold.serve.refusal import Refusal

Content = str | list[dict[str, Any]]


class ToolUse(msgspec.Struct):
    id: str
    name: str
    input: dict[str, Any]


class ToolResult(msgspec.Struct):
    tool_use_id: str
    content: str | list[dict[str, Any]] | None = None
    is_error: bool = False


class Source(msgspec.Struct):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: str | list[dict[str, Any]] = ""


def system_text(content: Content, at: str) -> Content:
    if isinstance(content, str):
        return content
    parts = []
    for number, block in enumerate(content):
        place = f"{at}[{number}]"
        if block.get("type") != "text":
            raise untranslatable(f"{place}.type", "must be `text` in a system prompt.")
        parts.append(_text(block, place))
    return text_of(parts)


def asked(content: Content, at: str) -> list[dict[str, Any]]:
    """A user's turn. Results of tools are messages of their own in chat, and come before what is said
    beside them."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for number, block in enumerate(content):
        place = f"{at}[{number}]"
        if block.get("type") == "tool_result":
            result, pictures = _result(block, place)
            results.append(result)
            parts += pictures
        else:
            parts += _parts(block, place)
    if parts or not results:
        results.append({"role": "user", "content": text_of(parts) if parts else ""})
    return results


def answered(content: Content, at: str) -> dict[str, Any]:
    """An assistant's turn."""
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for number, block in enumerate(content):
        place, kind = f"{at}[{number}]", block.get("type")
        if kind == "text":
            parts.append(_text(block, place))
        elif kind == "tool_use":
            calls.append(_call(block, place))
        elif kind == "thinking":
            thoughts.append(typed(block.get("thinking"), str, f"{place}.thinking"))
        else:
            raise _unknown(kind, place)
    said: dict[str, Any] = {"role": "assistant", "content": text_of(parts) if parts else None}
    if parts == [] and not calls:
        said["content"] = ""
    if thoughts:
        said["reasoning_content"] = "\n".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    return said


def _call(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    use = typed(block, ToolUse, at)
    return {
        "id": use.id,
        "type": "function",
        "function": {"name": use.name, "arguments": orjson.dumps(use.input).decode()},
    }


def _result(block: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The tool's message, and what it showed that only a user's message can carry in chat."""
    result = typed(block, ToolResult, at)
    texts: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    if isinstance(result.content, str):
        texts.append({"type": "text", "text": result.content})
    else:
        for number, inner in enumerate(result.content or ()):
            for part in _parts(inner, f"{at}.content[{number}]"):
                (texts if part["type"] == "text" else shown).append(part)
    if result.is_error:
        texts.insert(0, {"type": "text", "text": "Error: "})  # chat has no other way to say it
    if all(part.keys() == {"type", "text"} for part in texts):
        content: Content = "".join(part["text"] for part in texts)
    else:
        content = texts
    if shown:
        note = f"Shown by the tool call {result.tool_use_id}:"
        content = content or note
        shown.insert(0, {"type": "text", "text": note})
    return {"role": "tool", "tool_call_id": result.tool_use_id, "content": content}, shown


def _parts(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    kind = block.get("type")
    if kind == "text":
        return [_text(block, at)]
    if kind == "image":
        return [_image(block, at)]
    if kind == "document":
        return _document(block, at)
    if kind == "search_result":
        _uncited(block, at)
        head = f"{block.get('title', '')} ({block.get('source', '')})\n"
        texts = typed(block.get("content"), list[dict[str, Any]], f"{at}.content")
        said = "".join(_text(t, f"{at}.content[{n}]")["text"] for n, t in enumerate(texts))
        return [{"type": "text", "text": head + said}]
    raise _unknown(kind, at)


def _text(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    text = typed(block.get("text"), str, f"{at}.text")
    more = {
        name: value
        for name, value in block.items()
        if name not in ("type", "text", "cache_control", "citations") and value is not None
    }
    return {"type": "text", "text": text, **more}


def _image(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    source = typed(block.get("source"), Source, f"{at}.source")
    if source.type == "base64":
        url = f"data:{source.media_type};base64,{source.data}"
    elif source.type == "url":
        url = source.url
    else:
        raise _unknown(source.type, f"{at}.source")
    if block.get("transformations"):
        raise untranslatable(f"{at}.transformations", "are nothing that this model knows.")
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    _uncited(block, at)
    source = typed(block.get("source"), Source, f"{at}.source")
    title, context = block.get("title"), block.get("context")
    head = [{"type": "text", "text": str(context)}] if context else []
    if source.type == "base64":
        file = {
            "filename": title or "document.pdf",
            "file_data": f"data:{source.media_type};base64,{source.data}",
        }
        return [*head, {"type": "file", "file": file}]
    if title:
        head.insert(0, {"type": "text", "text": str(title)})
    if source.type == "text":
        return [*head, {"type": "text", "text": source.data}]
    if source.type == "content":
        if isinstance(source.content, str):
            return [*head, {"type": "text", "text": source.content}]
        for number, inner in enumerate(source.content):
            head += _parts(inner, f"{at}.source.content[{number}]")
        return head
    raise _unknown(source.type, f"{at}.source")


def _uncited(block: Mapping[str, Any], at: str) -> None:
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        raise untranslatable(f"{at}.citations", "cannot be asked of this model.")


def _unknown(kind: Any, at: str) -> Refusal:
    return untranslatable(f"{at}.type", f"is `{kind}`, which this model cannot be given.")
