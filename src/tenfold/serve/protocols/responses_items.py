"""Items of a Responses request as chat messages: what was said, calls of functions and what they gave.

One turn of an assistant is several items here (reasoning, text, calls) and one message there. What chat has
no words for is refused with its place. It knows no other part of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tenfold.serve.protocols.place import text_of, typed, untranslatable

Content = str | list[dict[str, Any]]

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""`developer` is OpenAI's newer name for `system`, and unknown to most chat templates."""


class FunctionCall(msgspec.Struct):
    call_id: str
    name: str
    arguments: str


class FunctionOutput(msgspec.Struct):
    call_id: str
    output: str | list[dict[str, Any]]


class Conversation:
    """Chat messages, as item follows item."""

    def __init__(self, instructions: str | None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._thoughts: list[str] = []
        self._thought_at = ""
        self._shown: list[dict[str, Any]] = []
        if instructions:
            self.messages.append({"role": "system", "content": instructions})

    def add(self, item: Mapping[str, Any], at: str) -> None:
        """Raises Refusal (400) with the place of what cannot be said in chat."""
        kind = item.get("type") or "message"
        if kind == "function_call_output":
            self._output(item, at)
            return
        self._show()
        if kind == "message":
            self._message(item, at)
        elif kind == "function_call":
            call = typed(item, FunctionCall, at)
            function = {"name": call.name, "arguments": call.arguments}
            turn = self._assistant()
            turn.setdefault("tool_calls", []).append(
                {"id": call.call_id, "type": "function", "function": function}
            )
        elif kind == "reasoning":
            self._reasoning(item, at)
        else:
            raise untranslatable(f"{at}.type", f"is `{kind}`, which this model cannot be given.")

    def finish(self) -> list[dict[str, Any]]:
        self._show()
        if self._thoughts:
            raise untranslatable(self._thought_at, "is reasoning that nothing follows.")
        return self.messages

    def _message(self, item: Mapping[str, Any], at: str) -> None:
        role = _ROLES.get(str(item.get("role")))
        if role is None:
            raise untranslatable(f"{at}.role", "must be user, assistant, system or developer.")
        content: Content = typed(item.get("content"), Content, f"{at}.content")  # type: ignore[arg-type]
        if not isinstance(content, str):
            parts = [_part(p, f"{at}.content[{n}]", role) for n, p in enumerate(content)]
            content = text_of(parts) if parts else ""
        if role == "assistant":
            turn = self._assistant(text=True)
            turn["content"] = content
            return
        last = self.messages[-1] if self.messages else None
        if (
            role == "system"
            and len(self.messages) == 1
            and last is not None
            and last["role"] == "system"
            and isinstance(content, str)
            and isinstance(last["content"], str)
        ):
            # Templates of many models take one system message, and only at the start.
            last["content"] += "\n\n" + content
            return
        self.messages.append({"role": role, "content": content})

    def _assistant(self, *, text: bool = False) -> dict[str, Any]:
        """The turn that an item belongs to: the last message, unless it cannot take it."""
        last = self.messages[-1] if self.messages else None
        if (
            last is None
            or last["role"] != "assistant"
            or self._thoughts
            or (text and last["content"])
        ):
            last = {"role": "assistant", "content": None}
            if self._thoughts:
                last["reasoning_content"] = "\n".join(self._thoughts)
                self._thoughts = []
            self.messages.append(last)
        return last

    def _reasoning(self, item: Mapping[str, Any], at: str) -> None:
        said = item.get("content") or item.get("summary") or []
        texts = [
            typed(part.get("text"), str, f"{at}.content[{number}].text")
            for number, part in enumerate(typed(said, list[dict[str, Any]], f"{at}.content"))
        ]
        if not texts and item.get("encrypted_content"):
            raise untranslatable(
                f"{at}.encrypted_content", "can be read by the model that made it."
            )
        self._thoughts += texts
        self._thought_at = at

    def _output(self, item: Mapping[str, Any], at: str) -> None:
        given = typed(item, FunctionOutput, at)
        content: Content = ""
        if isinstance(given.output, str):
            content = given.output
        else:
            parts = [_part(p, f"{at}.output[{n}]", "tool") for n, p in enumerate(given.output)]
            texts = [part for part in parts if part["type"] == "text"]
            shown = [part for part in parts if part["type"] != "text"]
            content = text_of(texts) if texts else ""
            if shown:  # only a user's message can carry it in chat
                note = f"Shown by the tool call {given.call_id}:"
                content = content or note
                self._shown += [{"type": "text", "text": note}, *shown]
        self.messages.append({"role": "tool", "tool_call_id": given.call_id, "content": content})

    def _show(self) -> None:
        if self._shown:
            self.messages.append({"role": "user", "content": self._shown})
            self._shown = []


def _part(part: Mapping[str, Any], at: str, role: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": typed(part.get("text"), str, f"{at}.text")}
    if kind == "refusal" and role == "assistant":
        return {"type": "refusal", "refusal": typed(part.get("refusal"), str, f"{at}.refusal")}
    if kind == "input_image":
        if part.get("file_id"):
            raise untranslatable(f"{at}.file_id", "names a file that this model cannot reach.")
        image = {"url": typed(part.get("image_url"), str, f"{at}.image_url")}
        if part.get("detail"):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file":
        for name in ("file_id", "file_url"):
            if part.get(name):
                raise untranslatable(f"{at}.{name}", "names a file that this model cannot reach.")
        file = {"file_data": typed(part.get("file_data"), str, f"{at}.file_data")}
        if part.get("filename"):
            file["filename"] = part["filename"]
        return {"type": "file", "file": file}
    if kind == "input_audio":
        return dict(part)
    raise untranslatable(f"{at}.type", f"is `{kind}`, which this model cannot be given.")
