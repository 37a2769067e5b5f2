"""A request of OpenAI's `/v1/responses` in the words of chat completions.

Fields that nobody here knows travel on. What chat cannot say is refused by name. Nothing is stored, so
nothing stored can be referred to; built-in tools run at OpenAI only. It reads a request whose outer shape is
known to be right (`responses.ResponsesRequest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tenfold.serve.protocols.place import refuse_all, typed, untranslatable
from tenfold.serve.protocols.responses_items import Conversation

_TRANSLATED = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",  # of built-in tools, of which there are none
        "metadata",  # said again in the answer
        "n",
        "reasoning",
        "store",
        "stream",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "truncation",
    }
)
_REFUSED = ("background", "context_management", "moderation", "prompt")
_STORED = ("conversation", "previous_response_id")
_HANDLED = _TRANSLATED.union(_REFUSED, _STORED)
LOGPROBS = "message.output_text.logprobs"


class FunctionTool(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class JsonSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any]


def to_chat(plain: Mapping[str, Any], *, limit: str = "max_tokens") -> dict[str, Any]:
    """The same request as a chat completion. `limit` is how the server behind it calls the token limit.
    Raises Refusal (400) with the field that cannot be said there."""
    refuse_all(plain, _REFUSED, "cannot be honoured by the server of this model.")
    refuse_all(plain, _STORED, "names what was not stored: send earlier items again in `input`.")
    if plain.get("n") not in (None, 1):
        raise untranslatable("n", "does not exist in this protocol; a request has one answer.")
    if plain.get("truncation") not in (None, "disabled"):
        raise untranslatable(
            "truncation", "must be `disabled`: this model's server drops no items."
        )
    chat: dict[str, Any] = {"model": plain["model"], "messages": _messages(plain)}
    if plain.get("max_output_tokens") is not None:
        chat[limit] = plain["max_output_tokens"]
    for name, value in plain.items():
        if name not in _HANDLED and value is not None:
            chat[name] = value
    if plain.get("tools"):
        chat["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(plain["tools"])]
    if plain.get("tool_choice") is not None:
        chat["tool_choice"] = _choice(plain["tool_choice"], "tool_choice")
    _reason(chat, plain.get("reasoning"))
    _form(chat, plain.get("text"))
    if LOGPROBS in (plain.get("include") or ()) or plain.get("top_logprobs"):
        chat["logprobs"] = True
        if plain.get("top_logprobs"):
            chat["top_logprobs"] = plain["top_logprobs"]
    if plain.get("stream"):
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    return chat


def _messages(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    conversation = Conversation(plain.get("instructions"))
    given = plain["input"]
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for index, item in enumerate(given):
        conversation.add(item, f"input[{index}]")
    return conversation.finish()


def _tool(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    kind = tool.get("type")
    if kind != "function":
        raise untranslatable(
            f"{at}.type", f"is `{kind}`; this model can be given tools of type `function` only."
        )
    if tool.get("defer_loading"):
        raise untranslatable(f"{at}.defer_loading", "needs a tool search, which this model lacks.")
    typed(tool, FunctionTool, at)
    function = {
        name: value
        for name, value in tool.items()
        if name not in ("type", "defer_loading") and value is not None
    }
    return {"type": "function", "function": function}


def _choice(choice: Any, at: str) -> Any:
    if isinstance(choice, str):
        return choice
    kind = choice.get("type")
    if kind == "function":
        name = typed(choice.get("name"), str, f"{at}.name")
        return {"type": "function", "function": {"name": name}}
    if kind == "allowed_tools":
        tools = typed(choice.get("tools"), list[dict[str, Any]], f"{at}.tools")
        allowed = [_choice(tool, f"{at}.tools[{n}]") for n, tool in enumerate(tools)]
        mode = choice.get("mode", "auto")
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    raise untranslatable(f"{at}.type", f"is `{kind}`, a tool that this model lacks.")


def _reason(chat: dict[str, Any], reasoning: Mapping[str, Any] | None) -> None:
    """Effort. A summary is not asked for: reasoning comes back in full."""
    for name, value in (reasoning or {}).items():
        if name == "effort":
            if value is not None:
                chat["reasoning_effort"] = value
        elif name not in ("summary", "generate_summary") and value not in (
            None,
            "auto",
            "standard",
        ):
            raise untranslatable(f"reasoning.{name}", "is nothing that this model knows.")


def _form(chat: dict[str, Any], text: Mapping[str, Any] | None) -> None:
    for name, value in (text or {}).items():
        if value is None:
            continue
        if name == "verbosity":
            chat["verbosity"] = value
        elif name == "format" and isinstance(value, dict):
            kind = value.get("type")
            if kind == "json_schema":
                typed(value, JsonSchema, "text.format")
                schema = {key: v for key, v in value.items() if key != "type" and v is not None}
                chat["response_format"] = {"type": "json_schema", "json_schema": schema}
            elif kind == "json_object":
                chat["response_format"] = {"type": "json_object"}
            elif kind != "text":
                raise untranslatable(
                    "text.format.type", "must be text, json_object or json_schema."
                )
        else:
            raise untranslatable(f"text.{name}", "is nothing that this model knows.")
