"""`/v1/completions`: its request fields, its answer and the chunks of its stream.

The older protocol, still what base models and many harnesses speak. It knows no backend and no tier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from tenfold.serve.backends.base import TokenUsage
from tenfold.serve.gateway.ask import (
    MAX_PROMPTS,
    Ask,
    Choices,
    Count,
    Mass,
    Seed,
    Stop,
    StreamOptions,
    Temperature,
    decode,
    extra_fields,
    or_default,
    stops,
    stream_options,
)
from tenfold.serve.gateway.chat import Said, usage_json
from tenfold.serve.gateway.refusal import Refusal

ENDPOINT = "/v1/completions"
PREFIX = "cmpl-"
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


def read(body: bytes) -> Ask:
    """The request in `body`. Raises Refusal with the field at fault."""
    request, plain = decode(body, CompletionRequest)
    return Ask(
        model=request.model,
        prompts=texts(request.prompt, "prompt"),
        n=or_default(request.n, 1),
        max_tokens=or_default(request.max_tokens, DEFAULT_MAX_TOKENS),
        temperature=or_default(request.temperature, 1.0),
        top_p=or_default(request.top_p, 1.0),
        seed=request.seed,
        stop=stops(request.stop),
        stream=bool(request.stream),
        include_usage=stream_options(request.stream, request.stream_options),
        extra=extra_fields(plain, CompletionRequest),
    )


def texts(given: str | list[str | int | list[int]], param: str) -> tuple[str, ...]:
    """One or many texts; token ids are refused, for only the model's own tokenizer could read them."""
    if isinstance(given, str):
        return (given,)
    if not given or len(given) > MAX_PROMPTS:
        raise Refusal(
            400,
            f"`{param}` must be a string or a list of 1 to {MAX_PROMPTS} strings "
            f"(seen: {len(given)}).",
            param=param,
        )
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise Refusal(
                400,
                f"`{param}[{index}]` holds token ids; send text.",
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
