"""One answer in its two forms: as a JSON body, and as a stream of events.

An answer that was asked for in one form and is asked for again in the other need not be generated twice.
Members that we do not know are kept. Only for chat completions and completions; other protocols keep their
forms apart. It knows no cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.serve.protocols.chat import merged
from tenfold.serve.protocols.watch import data_of, events_of

CONVERTIBLE = frozenset({"/v1/chat/completions", "/v1/completions"})

_KINDS = {
    "chat.completion.chunk": "chat.completion",
    "chat.completion": "chat.completion.chunk",
}

_ODD = (TypeError, ValueError, AttributeError, KeyError)
"""What reading a server's answer meets where a member is of another type than its protocol says. Such an
answer went to whoever asked for it as it is; made into another form it cannot be."""


def whole_of(events: bytes) -> bytes | None:
    """The JSON body that says what a stream said. None when the stream is not one we can read."""
    try:
        return _whole_of(events)
    except _ODD:
        return None


def _whole_of(events: bytes) -> bytes | None:
    answer: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    deltas: dict[int, list[Mapping[str, Any]]] = {}
    for event in events_of(events):
        data = data_of(event)
        if not data or data == b"[DONE]":
            continue
        plain = orjson.loads(data)
        if not isinstance(plain, dict) or not isinstance(plain.get("choices"), list):
            return None
        for name, value in plain.items():
            if name != "choices" and (value is not None or name not in answer):
                answer[name] = value
        for choice in plain["choices"]:
            if not isinstance(choice, dict):
                return None
            index = choice.get("index", 0)
            _add(choices.setdefault(index, {"index": index}), deltas.setdefault(index, []), choice)
    if not choices:
        return None
    answer["object"] = _KINDS.get(answer.get("object", ""), answer.get("object"))
    said = []
    for index in sorted(choices):
        choice = choices[index]
        if deltas[index]:
            message = {
                "role": "assistant",
                "content": None,
                "refusal": None,
                **merged(deltas[index]),
            }
            if message.get("tool_calls") and not message["content"]:
                message["content"] = None
            choice["message"] = message
        said.append(choice)
    usage = answer.pop("usage", None)
    return orjson.dumps({**answer, "choices": said, "usage": usage})


def _add(choice: dict[str, Any], deltas: list[Mapping[str, Any]], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name == "delta":
            if isinstance(value, dict):
                deltas.append({key: part for key, part in value.items() if key != "role"})
        elif name == "text":
            choice["text"] = choice.get("text", "") + (value or "")
        elif name == "logprobs" and isinstance(value, dict):
            known = choice.get("logprobs")
            choice["logprobs"] = _joined(known, value) if isinstance(known, dict) else value
        elif value is not None or name not in choice:
            choice[name] = value


def _joined(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Log probabilities are lists per token, in either protocol."""
    whole = dict(known)
    for name, value in more.items():
        old = whole.get(name)
        whole[name] = [*old, *value] if isinstance(old, list) and isinstance(value, list) else value
    return whole


def events_from(body: bytes) -> tuple[bytes, bytes] | None:
    """A stream that says what a JSON body says, and its usage event (empty when there is no usage). One
    chunk of content per choice: nobody knows any more how it was cut. None when it cannot be done."""
    try:
        return _events_from(body)
    except _ODD:
        return None


def _events_from(body: bytes) -> tuple[bytes, bytes] | None:
    plain = orjson.loads(body)
    if not isinstance(plain, dict) or not isinstance(plain.get("choices"), list):
        return None
    usage = plain.pop("usage", None)
    choices = plain.pop("choices")
    head = {**plain, "object": _KINDS.get(plain.get("object", ""), plain.get("object"))}
    events = []
    for choice in choices:
        if not isinstance(choice, dict):
            return None
        chat = isinstance(choice.get("message"), dict)
        last: dict[str, Any] = {"index": choice.get("index", 0)}
        first = {k: v for k, v in choice.items() if k not in ("message", "finish_reason")}
        if chat:
            message = dict(choice["message"])
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                message["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
            first["delta"], last["delta"] = message, {}
        else:
            last["text"] = ""
        first["finish_reason"] = None
        last["logprobs"] = None
        last["finish_reason"] = choice.get("finish_reason")
        events += [{**head, "choices": [first]}, {**head, "choices": [last]}]
    usage_event = b""
    if usage is not None:
        usage_event = _event({**head, "choices": [], "usage": usage})
    return b"".join(map(_event, events)) + usage_event + b"data: [DONE]\n\n", usage_event


def _event(plain: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(plain)
