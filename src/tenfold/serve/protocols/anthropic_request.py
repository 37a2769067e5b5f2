"""A chat request in the words of Anthropic's `/v1/messages`, for a server that speaks nothing else.

Fields that nobody here knows travel on. What Messages cannot say is refused by name. Left out are hints that
change no answer: `prediction`, `prompt_cache_key`, an image's `detail`, tags (`metadata`) of an answer that
nobody stores. It reads a request whose outer shape is known to be right (`chat.ChatRequest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tenfold.serve.protocols.anthropic_turns import turns_of
from tenfold.serve.protocols.place import refuse_all, typed, untranslatable

_TRANSLATED = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
        "user",
    }
)
_REFUSED = (
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "presence_penalty",
    "store",
    "top_logprobs",
    "verbosity",
    "web_search_options",
)
_HANDLED = _TRANSLATED.union(_REFUSED)
_TIERS = {"auto": "auto", "default": "standard_only"}


class Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


def to_messages(plain: Mapping[str, Any], *, max_tokens: int) -> dict[str, Any]:
    """The same request as a message. `max_tokens` is for requests that set no limit: Messages has to have
    one. Raises Refusal (400) with the field that cannot be said there."""
    refuse_all(plain, _REFUSED, "cannot be honoured by the server of this model.")
    _only(plain, "n", (1,), "must be 1: this model gives one answer.")
    _only(plain, "seed", (), "cannot be honoured: this model knows no seed.")
    _only(plain, "modalities", (["text"],), "must be text.")
    if (plain.get("temperature") or 0) > 1:
        raise untranslatable("temperature", "must be at most 1 for this model.")
    system, turns = turns_of(plain["messages"])
    made: dict[str, Any] = {"model": plain["model"], "messages": turns}
    if system:
        made["system"] = system
    for name, value in plain.items():
        if name not in _HANDLED and value is not None:
            made[name] = value
    limit = plain.get("max_completion_tokens") or plain.get("max_tokens")
    made["max_tokens"] = max_tokens if limit is None else limit
    stop = plain.get("stop")
    if stop:
        made["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if plain.get("tools"):
        made["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(plain["tools"])]
    _choose(made, plain)
    _shape(made, plain)
    user = plain.get("user") or plain.get("safety_identifier")
    if user:
        made["metadata"] = {"user_id": user}
    tier = plain.get("service_tier")
    if tier is not None:
        if str(tier) not in _TIERS:
            raise untranslatable("service_tier", "must be auto or default for this model.")
        made["service_tier"] = _TIERS[tier]
    if plain.get("stream"):
        made["stream"] = True
    return made


def _only(plain: Mapping[str, Any], name: str, allowed: tuple[Any, ...], why: str) -> None:
    value = plain.get(name)
    if value is not None and value not in allowed:
        raise untranslatable(name, why)


def _tool(tool: Any, at: str) -> dict[str, Any]:
    known = typed(tool, dict[str, Any], at)
    if known.get("type") != "function":
        raise untranslatable(f"{at}.type", "must be `function` for this model.")
    function = typed(known.get("function"), Function, f"{at}.function")
    made: dict[str, Any] = {
        "name": function.name,
        "input_schema": function.parameters or {"type": "object", "properties": {}},
    }
    if function.description is not None:
        made["description"] = function.description
    if function.strict is not None:
        made["strict"] = function.strict
    return made


def _choose(made: dict[str, Any], plain: Mapping[str, Any]) -> None:
    choice, parallel = plain.get("tool_choice"), plain.get("parallel_tool_calls")
    if choice is None and parallel is not None and made.get("tools"):
        choice = "auto"
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise untranslatable("tool_choice", "must be auto, required, none or a function.")
        said = {"type": _CHOICES[choice]}
    elif isinstance(choice, dict) and choice.get("type") == "function":
        function = typed(choice.get("function"), Function, "tool_choice.function")
        said = {"type": "tool", "name": function.name}
    else:
        raise untranslatable("tool_choice.type", "must be `function` for this model.")
    if parallel is not None and said["type"] != "none":
        made["tool_choice"] = {**said, "disable_parallel_tool_use": not parallel}
    else:
        made["tool_choice"] = said


_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def _shape(made: dict[str, Any], plain: Mapping[str, Any]) -> None:
    """Effort, and the form of the answer."""
    config: dict[str, Any] = dict(made.get("output_config") or {})
    effort = plain.get("reasoning_effort")
    if effort == "none":
        made["thinking"] = {"type": "disabled"}
    elif effort is not None:
        config["effort"] = "low" if effort == "minimal" else effort
    form = plain.get("response_format")
    if form is not None:
        kind = typed(form, dict[str, Any], "response_format").get("type")
        if kind == "json_schema":
            at = "response_format.json_schema"
            schema = typed(form.get("json_schema"), dict[str, Any], at).get("schema")
            schema = typed(schema, dict[str, Any], f"{at}.schema")
            config["format"] = {"type": "json_schema", "schema": schema}
        elif kind != "text":
            raise untranslatable("response_format.type", "must be text or json_schema.")
    if config:
        made["output_config"] = config
