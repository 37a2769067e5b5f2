"""`/v1/chat/completions`: its request fields, its answer and the chunks of its stream.

Bytes are put together by hand around what must be escaped: the fixed parts of an answer are known, and
an encoder would walk them again for every token. It knows no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import orjson

from tenfold.serve.backends.base import Generation, Message, TokenUsage
from tenfold.serve.protocols.ask import (
    Ask,
    Choices,
    Count,
    Mass,
    OpenAIErrors,
    Seed,
    Stop,
    StreamOptions,
    Temperature,
    choices,
    decode,
    extra_fields,
    stops,
    stream_options,
    unsupported,
)
from tenfold.serve.refusal import Refusal

Said = tuple[str, str, Sequence[Mapping[str, Any]]]
"""One choice: its text, why it ended, and the further members of its message in parts."""


class Part(msgspec.Struct):
    type: str
    text: str | None = None


class ChatMessage(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class ChatRequest(msgspec.Struct, kw_only=True):
    model: str
    messages: list[ChatMessage]
    n: Choices | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Mass | None = None
    seed: Seed | None = None
    stop: Stop = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Chat(OpenAIErrors):
    """The protocol most clients speak."""

    endpoint = "/v1/chat/completions"
    prefix = "chatcmpl-"
    prompt = "messages"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, ChatRequest)
        if not request.messages:
            raise Refusal(400, "`messages` must hold at least one message.", param="messages")
        for index, message in enumerate(request.messages):
            if message.content is None and message.role != "assistant":
                raise Refusal(
                    400,
                    f"`messages[{index}].content` is null; only an assistant's may be.",
                    param=f"messages[{index}].content",
                )
        limit, newer = request.max_tokens, request.max_completion_tokens
        if limit is not None and newer is not None and limit != newer:
            raise Refusal(
                400,
                "`max_tokens` and `max_completion_tokens` contradict each other; send one.",
                param="max_tokens",
            )
        stops(request.stop)
        n = request.n or 1
        return Ask(
            self.endpoint,
            request.model,
            body,
            plain,
            request,
            stream=bool(request.stream),
            include_usage=stream_options(request.stream, request.stream_options),
            num_choices=n,
            max_tokens=limit if newer is None else newer,
        )

    def generations(self, ask: Ask, id: str, model: str) -> list[Generation]:
        """One per choice, for a backend that generates. A seed goes up by one per choice, so that choices
        differ and repeat. Raises Refusal for what only a server that forwards can do."""
        request: ChatRequest = ask.typed
        extra = extra_fields(ask.plain, ChatRequest)
        unsupported(extra, ask.model)
        messages = tuple(
            map(_message, range(len(request.messages)), request.messages, ask.plain["messages"])
        )
        return choices(
            request,
            id,
            model,
            num_prompts=1,
            make=lambda _: {"messages": messages},
            max_tokens=ask.max_tokens,
            extra=extra,
        )


def _message(index: int, message: ChatMessage, plain: dict[str, Any]) -> Message:
    content = message.content
    if content is None:
        content = ""
    elif not isinstance(content, str):
        content = "".join(_text(index, number, part) for number, part in enumerate(content))
    extra = extra_fields(plain, ChatMessage) if len(plain) > 2 else {}
    return Message(message.role, content, extra)


def _text(index: int, number: int, part: Part) -> str:
    if part.type != "text" or part.text is None:
        raise Refusal(
            400,
            f"`messages[{index}].content[{number}]` is not a text part; this model reads only text.",
            param=f"messages[{index}].content[{number}].type",
            code="unsupported_content",
        )
    return part.text


class ChatAnswer:
    """The bytes of one answer, whole or chunk by chunk."""

    __slots__ = ("_head", "_tail")

    def __init__(self, id: str, created_s: int, model: bytes, include_usage: bool) -> None:
        """`model` is the tail that `stamp` makes: model name and fingerprint as JSON members."""
        self._head = (
            b'data: {"id":"%b","object":"chat.completion.chunk","created":%d%b,"choices":['
            % (id.encode(), created_s, model)
        )
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"

    def opening(self, index: int) -> bytes:
        return (
            b'%b{"index":%d,"delta":{"role":"assistant","content":"","refusal":null},'
            b'"logprobs":null,"finish_reason":null}%b' % (self._head, index, self._tail)
        )

    def text(self, index: int, text: str) -> bytes:
        return b'%b{"index":%d,"delta":{"content":%b},"logprobs":null,"finish_reason":null}%b' % (
            self._head,
            index,
            orjson.dumps(text),
            self._tail,
        )

    def more(self, index: int, delta: dict[str, Any]) -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":null,"finish_reason":null}%b' % (
            self._head,
            index,
            orjson.dumps(delta),
            self._tail,
        )

    def closing(self, index: int, finish_reason: str) -> bytes:
        return b'%b{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}%b' % (
            self._head,
            index,
            orjson.dumps(finish_reason),
            self._tail,
        )

    def usage(self, usage: TokenUsage) -> bytes:
        return b'%b],"usage":%b}\n\n' % (self._head, usage_json(usage))

    @staticmethod
    def whole(model: bytes, choices: Sequence[Said], usage: TokenUsage) -> bytes:
        """What follows `{"id":...,"created":...`: all of the answer that a cache can keep."""
        said = b",".join(
            b'{"index":%d,"message":%b,"logprobs":null,"finish_reason":%b}'
            % (index, _message_json(text, deltas), orjson.dumps(why))
            for index, (text, why, deltas) in enumerate(choices)
        )
        return b',"object":"chat.completion"%b,"choices":[%b],"usage":%b}' % (
            model,
            said,
            usage_json(usage),
        )


def merged(deltas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a message whose parts came one by one: strings are joined, entries of a list find
    each other by their `index`, everything else is replaced."""
    whole: dict[str, Any] = {}
    for delta in deltas:
        for name, value in delta.items():
            whole[name] = _grown(whole.get(name), value)
    for name, value in whole.items():
        if isinstance(value, list):
            if all(isinstance(entry, dict) and "index" in entry for entry in value):
                value.sort(key=lambda entry: entry["index"])
            whole[name] = [
                {k: v for k, v in entry.items() if k != "index"}
                if isinstance(entry, dict)
                else entry
                for entry in value
            ]
    return whole


_NAMING = frozenset({"id", "index", "type"})
"""Said again by some servers in every part; they name an entry and do not grow."""


def _grown(old: Any, new: Any) -> Any:
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            **old,
            **{
                name: value if name in _NAMING else _grown(old.get(name), value)
                for name, value in new.items()
            },
        }
    if isinstance(old, list) and isinstance(new, list):
        grown = list(old)
        for entry in new:
            place = next(
                (
                    at
                    for at, known in enumerate(grown)
                    if isinstance(entry, dict)
                    and isinstance(known, dict)
                    and "index" in entry
                    and known.get("index") == entry["index"]
                ),
                None,
            )
            if place is None:
                grown.append(entry)
            else:
                grown[place] = _grown(grown[place], entry)
        return grown
    return old if new is None else new


def _message_json(text: str, deltas: Sequence[Mapping[str, Any]]) -> bytes:
    if not deltas:
        return b'{"role":"assistant","content":%b,"refusal":null}' % orjson.dumps(text)
    plain = {"role": "assistant", "content": text or None, "refusal": None, **merged(deltas)}
    return orjson.dumps(plain)


def stamp(model: str, digest: str) -> bytes:
    """The JSON members that say who answered."""
    fingerprint = f'"tf_{digest[:12]}"' if digest else "null"
    return b',"model":%b,"system_fingerprint":%b' % (orjson.dumps(model), fingerprint.encode())


def usage_json(usage: TokenUsage) -> bytes:
    return (
        b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
        b'"prompt_tokens_details":{"cached_tokens":%d}}'
        % (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens)
    )
