"""Reading along with an answer on its way: usage, why it ended, whether it is whole. It changes nothing.

Most events of a stream are a few letters of text, and decoding each would cost more than passing it on. So
a part is decoded only when it may tell something: a quote inside a JSON string is always escaped, which
makes a search for a quoted field name exact. It knows no sockets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import orjson

from tenfold.serve.backends.base import Outcome, TokenUsage


class Watch(Protocol):
    """One answer being watched; `outcome` is filled in as it goes by."""

    outcome: Outcome

    def events(self, part: bytes) -> None:
        """One or more whole server-sent events."""
        ...

    def whole(self, body: bytes) -> None:
        """A JSON body. Raises ValueError when it is not the JSON object an answer should be."""
        ...


def watch(endpoint: str) -> Watch:
    return _WATCHES.get(endpoint, ChatWatch)()


_DONE = b"data: [DONE]"
_ID = b'data: {"id":"'
_REFUSING = frozenset({"content_filter", "refusal"})


class ChatWatch:
    """Chat completions, completions and embeddings: choices, a usage chunk, `[DONE]`."""

    _telling = re.compile(
        rb'"finish_reason"\s*:\s*"|_tokens"\s*:|"(?:tool_calls|function_call|error)"\s*:|\[DONE\]'
    ).search

    def __init__(self) -> None:
        self.outcome = Outcome()
        self._reasons: dict[int, str] = {}
        self._begun = False

    def events(self, part: bytes) -> None:
        if self._telling(part) is None and (self._begun or self._named(part)):
            return
        self._begun = True
        outcome = self.outcome
        for event, plain in _decoded(part):
            if not outcome.response_id:
                outcome.response_id = _text(plain.get("id"))
            if plain.get(
                "error"
            ):  # some say [DONE] after it: the stream is over, and nothing to keep
                outcome.refused = True
            choices = plain.get("choices")
            for choice in choices if isinstance(choices, list) else ():
                if isinstance(choice, dict):
                    self._choice(choice, choice.get("delta"))
            usage = usage_of(plain.get("usage"))
            if usage is not None:
                outcome.usage = usage
                if not choices:
                    outcome.usage_event = event
        if part.rstrip().endswith(_DONE):  # last: the reason may have come in the same part
            outcome.complete = True
            outcome.finish_reasons = tuple(self._reasons.values())

    def _named(self, part: bytes) -> bool:
        """Whether the first event begins with its id, as nearly all do: a tenth of what decoding costs, at
        the one moment when a client waits for it."""
        if not part.startswith(_ID):
            return False
        id, quote, _ = part[len(_ID) :].partition(b'"')
        if not quote or b"\\" in id or not id.isascii():
            return False
        self.outcome.response_id = id.decode()
        self._begun = True
        return True

    def whole(self, body: bytes) -> None:
        plain = _object(body)
        outcome = self.outcome
        outcome.response_id = _text(plain.get("id"))
        choices = plain.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice, choice.get("message"))
        outcome.finish_reasons = tuple(self._reasons.values())
        outcome.usage = usage_of(plain.get("usage"))
        outcome.complete = not plain.get("error")

    def _choice(self, choice: Mapping[str, Any], said: Any) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            index = choice.get("index")
            self._reasons[index if isinstance(index, int) else 0] = reason
            if reason in _REFUSING:
                self.outcome.refused = True
        if isinstance(said, dict):
            if said.get("tool_calls") or said.get("function_call"):
                self.outcome.side_effects = True
            if said.get("refusal"):
                self.outcome.refused = True


class MessagesWatch:
    """Anthropic's messages: usage in `message_start` and `message_delta`, the end is `message_stop`."""

    _telling = re.compile(rb'"(?:message_start|message_delta|message_stop|tool_use|error)"').search

    def __init__(self) -> None:
        self.outcome = Outcome()
        self._failed = False
        self._usage: dict[str, Any] = {}

    def events(self, part: bytes) -> None:
        if self._telling(part) is None:
            return
        for _, plain in _decoded(part):
            kind = plain.get("type")
            if kind == "message_start" and isinstance(plain.get("message"), dict):
                self.outcome.response_id = _text(plain["message"].get("id"))
                self._count(plain["message"].get("usage"))
            elif kind == "message_delta":
                delta = plain.get("delta")
                self._reason(delta.get("stop_reason") if isinstance(delta, dict) else None)
                self._count(plain.get("usage"))
            elif kind == "content_block_start":
                block = plain.get("content_block")
                if isinstance(block, dict) and "tool_use" in _text(block.get("type")):
                    self.outcome.side_effects = True
            elif kind == "message_stop":
                self.outcome.complete = True
            elif kind == "error":
                self.outcome.refused = self._failed = True

    def whole(self, body: bytes) -> None:
        plain = _object(body)
        self.outcome.response_id = _text(plain.get("id"))
        self._reason(plain.get("stop_reason"))
        self._count(plain.get("usage"))
        content = plain.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and "tool_use" in _text(block.get("type")):
                self.outcome.side_effects = True
        self.outcome.complete = plain.get("type") != "error"

    def _reason(self, reason: Any) -> None:
        if isinstance(reason, str):
            self.outcome.finish_reasons = (reason,)
            self.outcome.refused = self._failed or reason in _REFUSING

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        self._usage.update({name: value for name, value in usage.items() if value is not None})
        read = _count(self._usage.get("cache_read_input_tokens"))
        made = _count(self._usage.get("cache_creation_input_tokens"))
        prompt = _count(self._usage.get("input_tokens")) + read + made
        self.outcome.usage = TokenUsage(prompt, _count(self._usage.get("output_tokens")), read)


class ResponsesWatch:
    """OpenAI's responses: everything is said again in the last event."""

    _telling = re.compile(rb'"response\.(?:completed|incomplete|failed)"|"error"').search

    def __init__(self) -> None:
        self.outcome = Outcome()

    def events(self, part: bytes) -> None:
        if self._telling(part) is None:
            return
        for _, plain in _decoded(part):
            if plain.get("type") in (
                "response.completed",
                "response.incomplete",
                "response.failed",
            ):
                response = plain.get("response")
                if isinstance(response, dict):
                    self._response(response)

    def whole(self, body: bytes) -> None:
        self._response(_object(body))

    def _response(self, plain: Mapping[str, Any]) -> None:
        outcome = self.outcome
        outcome.response_id = _text(plain.get("id"))
        status = _text(plain.get("status"))
        outcome.complete = status in ("completed", "incomplete")
        details = plain.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        outcome.finish_reasons = (_text(reason) or "stop",)
        outcome.refused = reason in _REFUSING
        output = plain.get("output")
        for item in output if isinstance(output, list) else ():
            if not isinstance(item, dict):
                continue
            if item.get("type") not in ("message", "reasoning"):
                outcome.side_effects = True  # a call of a tool, of whatever kind
            content = item.get("content")
            for part in content if isinstance(content, list) else ():
                if isinstance(part, dict) and part.get("type") == "refusal":
                    outcome.refused = True
        usage = plain.get("usage")
        if isinstance(usage, dict):
            details = usage.get("input_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else 0
            outcome.usage = TokenUsage(
                _count(usage.get("input_tokens")),
                _count(usage.get("output_tokens")),
                _count(cached),
            )


_WATCHES: Mapping[str, type[Watch]] = {
    "/v1/messages": MessagesWatch,
    "/v1/responses": ResponsesWatch,
}


def usage_of(given: Any) -> TokenUsage | None:
    """Usage as chat completions tell it; None when there is none."""
    if not isinstance(given, dict):
        return None
    details = given.get("prompt_tokens_details")
    return TokenUsage(
        _count(given.get("prompt_tokens")),
        _count(given.get("completion_tokens")),
        _count(details.get("cached_tokens") if isinstance(details, dict) else 0),
    )


_USAGE = re.compile(rb'_tokens"\s*:').search


def without_usage(part: bytes) -> bytes:
    """The events of a chat stream without the one that only carries usage."""
    if _USAGE(part) is None:
        return part
    for event, plain in _decoded(part):
        if plain.get("usage") and plain.get("choices") == []:
            part = part.replace(event, b"", 1)
    return part


def data_of(event: bytes) -> bytes:
    """What an event carries: its `data:` lines joined."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def events_of(part: bytes) -> list[bytes]:
    """The whole events in `part`, each with the blank line that ends it."""
    if b"\r" in part:
        return [
            event for event in re.findall(rb"(?s).*?(?:\r\n\r\n|\n\n|\r\r)", part) if event.strip()
        ]
    return [event + b"\n\n" for event in part.split(b"\n\n") if event.strip()]


def _decoded(part: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The events that carry a JSON object, with it. One that should and does not is passed on all the
    same: it is the client that must see what the server said."""
    for event in events_of(part):
        try:
            plain = orjson.loads(data_of(event))
        except orjson.JSONDecodeError:
            continue
        if isinstance(plain, dict):
            yield event, plain


def _object(body: bytes) -> dict[str, Any]:
    plain = orjson.loads(body)
    if not isinstance(plain, dict):
        raise ValueError("not a JSON object")
    return plain


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    """A count that a ledger can hold; whatever else a server claims is none."""
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0
