"""A request of Anthropic's `/v1/messages` in the words of chat completions.

Fields that nobody here knows travel on. What chat cannot say is refused by name. Left out are hints that
change no answer: `cache_control` and `eager_input_streaming`. It reads a request whose outer shape is known
to be right (`messages.MessagesRequest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tenfold.serve.protocols.messages_blocks import answered, asked, system_text
from tenfold.serve.protocols.place import refuse_all, typed, untranslatable

_RENAMED = {"stop_sequences": "stop"}
_TRANSLATED = frozenset(
    {
        "cache_control",
        "context_management",
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "service_tier",
        "stream",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
_REFUSED = ("container", "inference_geo", "mcp_servers", "user_profile_id", "diagnostics")
_HANDLED = _TRANSLATED.union(_REFUSED)


class Tool(msgspec.Struct):
    name: str
    input_schema: dict[str, Any]
    description: str | None = None


class Thinking(msgspec.Struct):
    type: str
    budget_tokens: int = 0


def to_chat(plain: Mapping[str, Any], *, limit: str = "max_tokens") -> dict[str, Any]:
    """The same request as a chat completion. `limit` is how the server behind it calls the token limit:
    OpenAI's reasoning models know only `max_completion_tokens`, some others only `max_tokens`. Raises
    Refusal (400) with the field that cannot be said there."""
    refuse_all(plain, _REFUSED, "cannot be honoured by the server of this model.")
    if plain.get("n") not in (None, 1):
        raise untranslatable("n", "does not exist in this protocol; a request has one answer.")
    _no_context_edits(plain.get("context_management"))
    chat: dict[str, Any] = {"model": plain["model"], "messages": _messages(plain)}
    chat[limit] = plain["max_tokens"]
    for name, value in plain.items():
        if name not in _HANDLED and value is not None:
            chat[_RENAMED.get(name, name)] = value
    tools = plain.get("tools")
    if tools:
        chat["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    _choose(chat, plain.get("tool_choice"))
    _reason(chat, plain)
    metadata = dict(plain.get("metadata") or {})
    user = metadata.pop("user_id", None)
    if user is not None:
        chat["user"] = typed(user, str, "metadata.user_id")
    if metadata:
        chat["metadata"] = metadata
    tier = plain.get("service_tier")
    if tier is not None:
        chat["service_tier"] = "default" if tier == "standard_only" else tier
    if plain.get("stream"):
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    return chat


def _messages(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    if plain.get("system"):
        said.append({"role": "system", "content": system_text(plain["system"], "system")})
    turns = plain["messages"]
    for index, turn in enumerate(turns):
        at, content = f"messages[{index}].content", turn["content"]
        if turn["role"] == "system":
            said.append({"role": "system", "content": system_text(content, at)})
        elif turn["role"] == "user":
            said += asked(content, at)
        else:
            said.append(answered(content, at))
    if turns[-1]["role"] == "assistant":
        raise untranslatable(
            f"messages[{len(turns) - 1}].role",
            "is `assistant`: this model does not support prefilled answers. "
            "The conversation must end with a user message.",
        )
    return said


def _tool(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise untranslatable(
            f"{at}.type",
            f"is `{tool['type']}`, a tool of Anthropic's own servers and models; this model has none.",
        )
    if tool.get("defer_loading"):
        raise untranslatable(f"{at}.defer_loading", "needs a tool search, which this model lacks.")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        raise untranslatable(f"{at}.allowed_callers", "names callers that this model lacks.")
    if tool.get("input_examples"):
        raise untranslatable(f"{at}.input_examples", "has no place in the tools of this model.")
    known = typed(tool, Tool, at)
    function: dict[str, Any] = {"name": known.name, "parameters": known.input_schema}
    if known.description is not None:
        function["description"] = known.description
    for name, value in tool.items():
        if name not in _TOOL_FIELDS and value is not None:
            function[name] = value  # `strict` is the same there
    return {"type": "function", "function": function}


_TOOL_FIELDS = frozenset(
    {
        "allowed_callers",
        "cache_control",
        "defer_loading",
        "description",
        "eager_input_streaming",
        "input_examples",
        "input_schema",
        "name",
        "type",
    }
)


def _choose(chat: dict[str, Any], choice: Mapping[str, Any] | None) -> None:
    if choice is None:
        return
    kind = str(choice.get("type"))
    if kind == "tool":
        name = typed(choice.get("name"), str, "tool_choice.name")
        chat["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        chat["tool_choice"] = _CHOICES[kind]
    else:
        raise untranslatable("tool_choice.type", "must be one of auto, any, tool and none.")
    single = choice.get("disable_parallel_tool_use")
    if single is not None:
        chat["parallel_tool_calls"] = not single


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _reason(chat: dict[str, Any], plain: Mapping[str, Any]) -> None:
    """Effort, and the form of the answer. A budget of thinking becomes the effort nearest to it."""
    given = plain.get("thinking")
    if given is not None:
        thinking = typed(given, Thinking, "thinking")
        if thinking.type == "disabled":
            chat["reasoning_effort"] = "none"
        elif thinking.type == "enabled":
            budget = thinking.budget_tokens
            chat["reasoning_effort"] = (
                "low" if budget < 4096 else "medium" if budget < 16384 else "high"
            )
        elif thinking.type != "adaptive":  # which is for the model to decide
            raise untranslatable("thinking.type", "is of no kind that this model knows.")
    config = dict(plain.get("output_config") or {})
    effort = config.pop("effort", None)
    if effort is not None and chat.get("reasoning_effort") != "none":
        chat["reasoning_effort"] = effort
    form = config.pop("format", None)
    if form is not None:
        if not isinstance(form, dict) or form.get("type") != "json_schema":
            raise untranslatable("output_config.format.type", "must be `json_schema`.")
        schema = typed(form.get("schema"), dict[str, Any], "output_config.format.schema")
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    for name in config:
        raise untranslatable(f"output_config.{name}", "is nothing that this model knows.")


def _no_context_edits(given: Any) -> None:
    """Clients ask by habit that nothing be cleared, which is what happens."""
    edits = typed(given or {}, dict[str, Any], "context_management").get("edits") or []
    for at, edit in enumerate(typed(edits, list[dict[str, Any]], "context_management.edits")):
        if edit.get("keep") != "all":
            raise untranslatable(
                f"context_management.edits[{at}]", "cannot be honoured by the server of this model."
            )
