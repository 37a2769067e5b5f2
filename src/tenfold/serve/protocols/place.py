"""Values taken out of plain JSON, and the refusal that names the place where one cannot be.

Places read like `messages[2].content[0].type`. It knows no protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from tenfold.serve.protocols.ask import _fault
from tenfold.serve.refusal import Refusal

T = TypeVar("T")

MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading an answer raises whose JSON is of another shape than its protocol's."""


def typed(value: Any, into: type[T], at: str) -> T:
    """`value` as `into`. Raises Refusal with the place below `at` that does not fit."""
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        fact, _, below = str(error).partition(" - at `$")
        raise _fault(f"{fact} - at `$.{at}{below.rstrip('`')}`") from None


def untranslatable(at: str, why: str) -> Refusal:
    """For what the model's own protocol cannot say: left out, the answer would be to another question."""
    return Refusal(400, f"`{at}` {why}", param=at, code="unsupported_parameter")


def refuse_all(plain: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    """Raises Refusal for the first of `names` that was sent. Null, false and empty ask for nothing."""
    for name in names:
        if plain.get(name):
            raise untranslatable(name, why)


def text_of(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One text by itself as a string: chat templates of smaller servers know nothing else."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts
