"""`/v1/completions`: its request fields, its answer and the chunks of its stream.

The older protocol, still what base models and many harnesses speak. It knows no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from tenfold.serve.backends.base import Generation, TokenUsage
from tenfold.serve.protocols.ask import (
    MAX_PROMPTS,
    MOST_CHOICES,
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
from tenfold.serve.protocols.chat import Said, usage_json
from tenfold.serve.refusal import Refusal

DEFAULT_MAX_TOKENS = 16
"""What OpenAI documents for this endpoint."""


class CompletionRequest(msgspec.Struct, kw_only=True):
    model: str
    prompt: str | list[str | int | list[int]]
    n: Choices | None = None
    max_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Mass | None = None
    seed: Seed | None = None
    stop: Stop = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Completion(OpenAIErrors):
    """The older protocol: a text to go on with."""

    endpoint = "/v1/completions"
    prefix = "cmpl-"
    prompt = "prompt"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, CompletionRequest)
        many_prompts = num_texts(request.prompt, "prompt")
        stops(request.stop)
        made, best_of = request.n or 1, plain.get("best_of")
        if type(best_of) is int:  # made and paid for, though not all are sent
            made = max(made, min(best_of, MOST_CHOICES))
        num_choices = made * many_prompts
        return Ask(
            self.endpoint,
            request.model,
            body,
            plain,
            request,
            stream=bool(request.stream),
            include_usage=stream_options(request.stream, request.stream_options),
            num_choices=num_choices,
            max_tokens=request.max_tokens or DEFAULT_MAX_TOKENS,
        )

    def generations(self, ask: Ask, id: str, model: str) -> list[Generation]:
        """One per choice, for a backend that generates. Raises Refusal for token ids."""
        request: CompletionRequest = ask.typed
        prompts = texts(request.prompt, "prompt")
        extra = extra_fields(ask.plain, CompletionRequest)
        unsupported(extra, ask.model)
        return choices(
            request,
            id,
            model,
            num_prompts=len(prompts),
            make=lambda index: {"prompt": prompts[index]},
            max_tokens=ask.max_tokens,
            extra=extra,
        )


def num_texts(given: str | list[str | int | list[int]], param: str) -> int:
    """How many texts there are; a list of token ids is one. Raises Refusal for none or too many."""
    if isinstance(given, str):
        return 1
    if not given or (len(given) > MAX_PROMPTS and not isinstance(given[0], int)):
        raise Refusal(
            400,
            f"`{param}` must be a string or a list of 1 to {MAX_PROMPTS} strings "
            f"(seen: {len(given)}).",
            param=param,
        )
    return 1 if isinstance(given[0], int) else len(given)


def texts(given: str | list[str | int | list[int]], param: str) -> tuple[str, ...]:
    """One or many texts; token ids are refused, for only the model's own tokenizer could read them."""
    if isinstance(given, str):
        return (given,)
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise Refusal(
                400,
                f"`{param}[{index}]` holds token ids; this model takes text.",
                param=f"{param}[{index}]",
                code="unsupported_content",
            )
    return tuple(given)  # type: ignore[arg-type]


class CompletionAnswer:
    """The bytes of one answer, whole or chunk by chunk."""

    __slots__ = ("_head", "_tail")

    def __init__(self, id: str, created_s: int, model: bytes, include_usage: bool) -> None:
        self._head = b'data: {"id":"%b","object":"text_completion","created":%d%b,"choices":[' % (
            id.encode(),
            created_s,
            model,
        )
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"

    def opening(self, index: int) -> bytes:
        return b""

    def text(self, index: int, text: str) -> bytes:
        return b'%b{"index":%d,"text":%b,"logprobs":null,"finish_reason":null}%b' % (
            self._head,
            index,
            orjson.dumps(text),
            self._tail,
        )

    def more(self, index: int, delta: dict[str, Any]) -> bytes:
        return b""  # this protocol has only text

    def closing(self, index: int, finish_reason: str) -> bytes:
        return b'%b{"index":%d,"text":"","logprobs":null,"finish_reason":%b}%b' % (
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
            b'{"index":%d,"text":%b,"logprobs":null,"finish_reason":%b}'
            % (index, orjson.dumps(text), orjson.dumps(why))
            for index, (text, why, _) in enumerate(choices)
        )
        return b',"object":"text_completion"%b,"choices":[%b],"usage":%b}' % (
            model,
            said,
            usage_json(usage),
        )
