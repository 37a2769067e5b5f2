"""What a client asks for, once its body has been read: one value for chat and plain completions.

Decoding turns bytes into typed requests and names the field at fault. It knows no model, no tenant and
no tier.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
import orjson

from tenfold.serve.backends.base import Generation, Message
from tenfold.serve.gateway.refusal import Refusal

R = TypeVar("R", bound=msgspec.Struct)

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Mass = Annotated[float, msgspec.Meta(gt=0, le=1)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Stop = str | list[str] | None

MAX_PROMPTS = 2048
"""Prompts or texts in one request, as at OpenAI."""
MAX_STOPS = 16


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request for text. `prompts` has one entry per text to continue; chat has exactly one."""

    model: str
    prompts: tuple[tuple[Message, ...] | str, ...]
    n: int
    max_tokens: int | None
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool
    extra: dict[str, Any]

    @property
    def num_choices(self) -> int:
        return self.n * len(self.prompts)

    @property
    def varies(self) -> bool:
        """Whether asking twice is meant to give two answers."""
        return self.num_choices > 1 or (self.temperature > 0 and self.seed is None)

    def content(self) -> list[Any]:
        """Everything in the request that changes its answer, as plain JSON values."""
        prompt = self.prompts[0]
        said = prompt if isinstance(prompt, str) else [[m.role, m.content, m.extra] for m in prompt]
        return [
            said,
            self.max_tokens,
            self.temperature,
            self.top_p,
            self.seed,
            self.stop,
            self.extra,
        ]

    def generations(self, id: str, model: str) -> list[Generation]:
        """One per choice. A seed goes up by one per choice, so that choices differ and repeat."""
        made = []
        for index in range(self.num_choices):
            prompt = self.prompts[index // self.n]
            made.append(
                Generation(
                    id=id if self.num_choices == 1 else f"{id}-{index}",
                    model=model,
                    messages=None if isinstance(prompt, str) else prompt,
                    prompt=prompt if isinstance(prompt, str) else None,
                    max_tokens=self.max_tokens,
                    temperature=self.temperature,
                    top_p=self.top_p,
                    seed=None if self.seed is None else self.seed + index % self.n,
                    stop=self.stop,
                    extra=self.extra,
                )
            )
        return made


def decode(body: bytes, into: type[R]) -> tuple[R, dict[str, Any]]:
    """The typed request, and the JSON object it came from. Raises Refusal naming place or field."""
    try:
        plain = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fact = "The request body is empty" if not body else f"The request body is not JSON: {error}"
        raise Refusal(400, f"{fact}.", code="invalid_json") from None
    try:
        return msgspec.convert(plain, into), plain
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None


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


def or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _fault(message: str) -> Refusal:
    """msgspec says ``Expected `int`, got `str` - at `$.n` ``; the protocol wants the field by itself."""
    fact, _, place = message.partition(" - at `$")
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
