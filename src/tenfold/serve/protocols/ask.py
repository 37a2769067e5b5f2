"""What a client asks for, once its body has been read, and what every protocol has to be able to do.

Decoding turns bytes into typed requests and names the field at fault. It knows no model, no tenant and
no tier.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
import orjson

from tenfold.serve.backends.base import Generation
from tenfold.serve.refusal import Refusal, loggable

R = TypeVar("R", bound=msgspec.Struct)

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
MOST_CHOICES = 128
Choices = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHOICES)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Mass = Annotated[float, msgspec.Meta(gt=0, le=1)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Stop = str | list[str] | None

MAX_PROMPTS = 2048
"""Prompts or texts in one request, as at OpenAI."""
MAX_STOPS = 16


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Ask:
    """A request that has been read: what the path needs to know of it, whatever its protocol."""

    __slots__ = (
        "body",
        "endpoint",
        "include_usage",
        "max_tokens",
        "model",
        "num_choices",
        "plain",
        "priority",
        "side_effects",
        "stream",
        "typed",
    )

    def __init__(
        self,
        endpoint: str,
        model: str,
        body: bytes,
        plain: dict[str, Any],
        typed: Any,
        *,
        stream: bool = False,
        include_usage: bool = False,
        num_choices: int = 1,
        max_tokens: int | None = None,
        side_effects: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self.body = body
        """As the client sent it."""
        self.plain = plain
        """The same, decoded."""
        self.typed = typed
        """The same, as the protocol's own struct."""
        self.stream = stream
        self.include_usage = include_usage
        """Whether the client wants a chunk of usage at the end of its stream."""
        self.num_choices = num_choices
        self.max_tokens = max_tokens
        """Most tokens each choice may have, where the client says so."""
        self.priority = 0
        """Higher goes first where requests wait for room; below 0: nobody waits for it."""
        self.side_effects = side_effects
        """Whether answering twice would do something twice: the server itself runs tools, or keeps it."""


class Dialect(Protocol):
    """One endpoint's protocol."""

    endpoint: str
    prefix: str
    """Of the ids of its answers."""
    prompt: str
    """The field that holds what a model reads."""

    def read(self, body: bytes) -> Ask:
        """Raises Refusal (400) with the field at fault."""
        ...

    def refused(self, refusal: Refusal, id: str) -> bytes:
        """The error as clients of this protocol expect it."""
        ...

    def broken(self, refusal: Refusal, id: str) -> bytes:
        """The same as the last event of a stream that has begun."""
        ...


class OpenAIErrors:
    """Errors as OpenAI has them on every endpoint."""

    def refused(self, refusal: Refusal, id: str) -> bytes:
        return refusal.body()

    def broken(self, refusal: Refusal, id: str) -> bytes:
        return b"data: %b\n\n" % refusal.body()


def decode(body: bytes, into: type[R]) -> tuple[R, dict[str, Any]]:
    """The typed request, and the JSON object it came from. Raises Refusal naming place or field."""
    try:
        plain = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fact = "The request body is empty" if not body else f"The request body is not JSON: {error}"
        raise Refusal(400, f"{fact}.", code="invalid_json") from None
    _check_names(body, plain)
    try:
        return msgspec.convert(plain, into), plain
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None


_MAX_DEPTH = 250
"""Objects and lists within one another; orjson writes up to 254."""


def _check_names(body: bytes, plain: Any) -> None:
    """Raises Refusal (400) when an object has a field twice. Decoders differ in which one they take: what we
    counted, allowed and keep must be what the server behind us answered. Also for what is nested too deep
    to be written again."""
    try:
        once = orjson.dumps(plain)
    except TypeError:
        raise _too_deep() from None
    # A field that was dropped took its quotes along; strings have as many on both sides, unless escaped.
    if body.count(b'"') == once.count(b'"') and b"\\u0022" not in body:
        return
    try:
        # Numbers stay text: of integers with thousands of digits Python makes none.
        json.loads(body, object_pairs_hook=_check_pairs, parse_int=str)
    except RecursionError:
        raise _too_deep() from None


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Refusal(
                400,
                f"`{loggable(name)}` stands twice in one object of the request body.",
                param=loggable(name),
                code="duplicate_field",
            )
        seen.add(name)


def _too_deep() -> Refusal:
    return Refusal(
        400,
        f"The request body is nested too deep; {_MAX_DEPTH} levels are taken.",
        code="invalid_json",
    )


def extra_fields(plain: dict[str, Any], known: type[msgspec.Struct]) -> dict[str, Any]:
    """What the client sent beyond the fields we know; null means not sent."""
    fields = known.__struct_fields__
    if len(plain) <= len(fields) and all(name in fields for name in plain):
        return {}
    return {
        name: value for name, value in plain.items() if name not in fields and value is not None
    }


def stops(given: Stop) -> tuple[str, ...]:
    if not given:
        return ()
    marks = (given,) if isinstance(given, str) else tuple(given)
    if len(marks) > MAX_STOPS or not all(marks):
        raise Refusal(
            400, f"`stop` takes up to {MAX_STOPS} strings, none of them empty.", param="stop"
        )
    return marks


def stream_options(stream: bool | None, options: StreamOptions | None) -> bool:
    """Whether the stream ends with a chunk of usage."""
    if options is not None and not stream:
        raise Refusal(
            400, "`stream_options` is only allowed when `stream` is true.", param="stream_options"
        )
    return options is not None and options.include_usage


def unsupported(extra: Mapping[str, Any], model: str) -> None:
    """Raises Refusal (400) for a field whose wish an engine of ours cannot grant: an answer that passes
    over it would look like one that kept to it."""
    for name in (
        "tools",
        "functions",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "audio",
        "best_of",
        "echo",
        "suffix",
    ):
        if extra.get(name):
            raise _beyond(name, model)
    wanted = extra.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") not in (None, "text"):
        raise _beyond("response_format", model)
    for name in ("presence_penalty", "frequency_penalty"):
        if extra.get(name):
            raise _beyond(name, model)


def _beyond(field: str, model: str) -> Refusal:
    return Refusal(
        400,
        f"`{field}` is not supported by the model `{model}`, which an embedded engine serves.",
        param=field,
        code="unsupported_parameter",
    )


def choices(
    request: Any,
    id: str,
    model: str,
    *,
    num_prompts: int,
    make: Callable[[int], dict[str, Any]],
    max_tokens: int | None,
    extra: dict[str, Any],
) -> list[Generation]:
    """One generation per choice; `make(index)` gives what is said in prompt `index`."""
    n = request.n or 1
    count = n * num_prompts
    return [
        Generation(
            id=id if count == 1 else f"{id}-{index}",
            model=model,
            **make(index // n),
            max_tokens=max_tokens,
            temperature=1.0 if request.temperature is None else request.temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            seed=None if request.seed is None else request.seed + index % n,
            stop=stops(request.stop),
            extra=extra,
        )
        for index in range(count)
    ]


def _fault(message: str) -> Refusal:
    """msgspec says ``Expected `int`, got `str` - at `$.n` ``; the protocol wants the field by itself."""
    fact, _, place = message.partition(" - at `$")
    fact = loggable(fact)  # it may quote the client
    param = place.rstrip("`").lstrip(".")
    missing = fact.removeprefix("Object missing required field `")
    if missing != fact:
        field = missing.rstrip("`")
        param = f"{param}.{field}" if param else field
        return Refusal(
            400, f"Missing required field: `{param}`.", param=param, code="missing_required_field"
        )
    if not param:
        return Refusal(400, f"The request body must be a JSON object. {fact}.", code="invalid_type")
    return Refusal(400, f"Invalid `{param}`: {fact}.", param=param, code="invalid_type")
